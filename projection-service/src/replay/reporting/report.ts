import { z } from 'zod'
import { exitCodes, type ExitName } from '../exit-code'

const position = z.string().regex(/^-?\d+$/)
const count = z.number().int().nonnegative()
const exitNames = Object.keys(exitCodes) as [ExitName, ...ExitName[]]

/** What a rebuild or a snapshot has come to, for each read model. */
const Result = z.object({
  projection: z.string(),
  version: count,
  events: count,
  /** Of a rebuild. */
  rows: count.optional(),
  /** Whether rows were compared with live; otherwise only what was counted again speaks. */
  compared: z.boolean().optional(),
  /** Whether they are the same, where they were compared; swapped otherwise only with `--accept-differences`. */
  equal: z.boolean().optional(),
  /** Streams folded afresh from the log. */
  sampled: count.optional(),
  /** Rows folded a second time beside the rebuild, and streams whose revision was counted again. */
  recounted: z.object({ rows: count, streams: count }).optional(),
  /** Sampled streams that somebody has deleted in the log: nothing can be said of them. */
  deleted: z.array(z.string()).optional(),
  /** How long projectors waited for the swap, in ms; none where nothing was swapped. */
  lockedMs: z.number().optional(),
  /** Of a snapshot: what it is, and how many streams stand still at an event that was refused. */
  what: z.string().optional(),
  parkedStreams: count.optional(),
})

const DifferenceCounts = z.object({ changed: count, onlyLive: count, onlyRebuilt: count })

/**
 * The lines of `--json`: one object each, in this shape. Fields are only ever added. Positions are decimal text, as they pass
 * 2^53; times are ISO 8601 in UTC; what is not known is null.
 */
export const ReportLine = z.discriminatedUnion('event', [
  z.object({
    at: z.iso.datetime(),
    event: z.literal('stage'),
    projection: z.string(),
    stage: z.string(),
    /** With `prepared`: events that an earlier run has folded. */
    resumedAfter: count.optional(),
    /** With `prepared`: nothing was ever applied to the live one, so there is nothing to compare with. */
    firstBuild: z.boolean().optional(),
    /** With `live`. */
    lockedMs: z.number().optional(),
  }),
  z.object({
    at: z.iso.datetime(),
    event: z.literal('progress'),
    projections: z.array(z.string()).nonempty(),
    stage: z.string(),
    position: position.nullable(),
    /** Where this read of the log will end. */
    end: position.nullable(),
    /** Gone through since the call began. */
    events: count,
    perSecond: count,
    etaSeconds: z.number().nonnegative().nullable(),
    /** `end` less `position`; grows with the log, not with the count of events. */
    lagPositions: position.nullable(),
    /** Age of the last event gone through, 0 at the end. */
    lagSeconds: z.number().nonnegative().nullable(),
  }),
  z.object({
    at: z.iso.datetime(),
    event: z.literal('plan'),
    head: position.nullable(),
    projections: z.array(
      z.object({
        projection: z.string(),
        version: count,
        liveVersion: count.nullable(),
        rows: count,
        /** Nothing was ever applied to the live one. */
        firstBuild: z.boolean(),
        comparedBy: z.enum(['rows', 'sample']),
        /** Events that an unfinished rebuild has folded. */
        goesOnAfter: count.nullable(),
        /** Version of the generation that makes room. */
        dropsPrevious: count.nullable(),
      }),
    ),
  }),
  z.object({
    at: z.iso.datetime(),
    event: z.literal('done'),
    /** Label of the snapshot that was made, where it was one. */
    snapshot: z.string().optional(),
    projections: z.array(Result),
    /** Of a scope: streams that were deleted in the log, in whole or in part, or never there; 1,000 at most. */
    passedOver: z.array(z.string()).optional(),
    events: count,
    seconds: z.number(),
    perSecond: count,
    exitCode: z.literal(0),
  }),
  z.object({
    at: z.iso.datetime(),
    event: z.literal('failed'),
    code: z.enum(exitNames),
    exitCode: count,
    message: z.string(),
    /** With `notEqual` of a rebuild: what was compared. */
    verified: z
      .array(
        z.object({
          projection: z.string(),
          equal: z.boolean(),
          /** Keys and streams that differ; 60 at most. */
          differing: z.array(z.string()),
          /** How many, when live and rebuilt were compared and are not the same. */
          differences: z.object({ rows: DifferenceCounts, streams: DifferenceCounts }).optional(),
        }),
      )
      .optional(),
  }),
])

export type ReportLine = z.infer<typeof ReportLine>
export type ReportResult = z.infer<typeof Result>

// Of a union, field by field: `Omit` alone would take the fields that all members share.
type WithoutTime<Line> = Line extends unknown ? Omit<Line, 'at'> : never

/** A line as it is written. */
export const reportLine = (line: WithoutTime<ReportLine>, at = new Date()): string =>
  `${JSON.stringify({ at: at.toISOString(), ...line })}\n`
