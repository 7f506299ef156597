import { z } from 'zod'

/** The parts of a stream's metadata that change what can be read. */
export interface StreamMetadata {
  /** Only the last so many events are readable. */
  maxCount?: number
  /** Only events younger than so many milliseconds are readable. */
  maxAgeMs?: number
  /** Events before this revision are not readable; `SOFT_DELETED` hides all of them. */
  truncateBefore?: number
}

/** The `$tb` of a soft-deleted stream is 2^63 - 1; read as a JavaScript number it is rounded up to this. */
const SOFT_DELETED = 2 ** 63

/** What EventStoreDB writes as metadata when a stream is soft-deleted; text, because no number can hold the value. */
export const softDeleteMetadata = '{"$tb":9223372036854775807}'

const METASTREAM_PREFIX = '$$'
export const METADATA_TYPE = '$metadata'
export const TOMBSTONE_TYPE = '$streamDeleted'

export const isMetastream = (stream: string): boolean => stream.startsWith(METASTREAM_PREFIX)
export const metastreamOf = (stream: string): string => METASTREAM_PREFIX + stream
export const originalOf = (metastream: string): string => metastream.slice(METASTREAM_PREFIX.length)

/** A metastream keeps its history but shows its last event only, as on EventStoreDB. */
export const metastreamMetadata: StreamMetadata = { maxCount: 1 }

const positive = z.number().int().positive().optional().catch(undefined)
const shape = z
  .object({ $maxCount: positive, $maxAge: positive, $tb: z.number().nonnegative().optional().catch(undefined) })
  .loose()

/** @returns what `json` says, field by field; what cannot be understood counts as not said, as on EventStoreDB. */
export function parseStreamMetadata(json: string): StreamMetadata {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return {}
  }
  const parsed = shape.safeParse(value)
  if (!parsed.success) return {}
  const { $maxCount, $maxAge, $tb } = parsed.data
  return {
    ...($maxCount !== undefined && { maxCount: $maxCount }),
    ...($maxAge !== undefined && { maxAgeMs: $maxAge * 1000 }),
    ...($tb !== undefined && { truncateBefore: $tb }),
  }
}

export const isSoftDeleted = (metadata: StreamMetadata): boolean => metadata.truncateBefore === SOFT_DELETED

/**
 * The metadata that brings a soft-deleted stream back, with its history hidden and all other fields kept.
 * @param json former metadata
 * @param firstRevision the revision of the first event that shall be readable
 */
export function recreatedMetadata(json: string, firstRevision: number): string {
  return JSON.stringify({ ...(JSON.parse(json) as Record<string, unknown>), $tb: firstRevision })
}

/** Which events of a stream can be read. */
export interface ReadableWindow {
  firstRevision: number
  /** Milliseconds since 1970; older events are hidden. */
  createdFrom: number
}

export function readableWindow(metadata: StreamMetadata, lastRevision: number, now: number): ReadableWindow {
  const byCount = metadata.maxCount === undefined ? 0 : lastRevision - metadata.maxCount + 1
  return {
    firstRevision: Math.max(0, byCount, metadata.truncateBefore ?? 0),
    createdFrom: metadata.maxAgeMs === undefined ? 0 : now - metadata.maxAgeMs,
  }
}
