import { placeOf, publishedPrefixes, streamOf } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import { nextEntry, type ChainHead } from '@annals/platform/hash-chain'
import { derivedId } from '@annals/platform/ids'
import type { Logger } from '@annals/platform/log'
import type { Execute } from '../core/execute'
import { anchor, anchorDecider, type Anchors, type Head } from './domain/anchors'

/** Events of the log that one anchor is made from; what is beyond is for the next one. */
const eventsMax = 50_000
/** After so many events the process does something else for a moment: commands come first. */
const eventsAtOnce = 250
const breathMs = 25
/** While there is more to be read than one anchor takes. */
const soonMs = 5_000
/** Months that are looked through for the last anchor: a system that stood still for longer begins at the first event. */
const monthsMax = 24

export interface AnchoringDeps {
  log: Pick<EventLog, 'readAll'>
  execute: Execute
  /** ISO 8601. */
  now(): string
}

export interface Anchoring {
  /** Events that were read. */
  events: number
  /** Whether an anchor was appended. */
  anchored: boolean
  /** Whether nothing was left to be read. */
  isWhole: boolean
}

/** `2026-11`, and the months before it. */
function* monthsBefore(now: string): Generator<string> {
  const [year, month] = [Number(now.slice(0, 4)), Number(now.slice(5, 7)) - 1]
  for (let i = 0; i < monthsMax; i++) yield new Date(Date.UTC(year, month - i)).toISOString().slice(0, 7)
}

/** The last anchor of all. */
async function lastAnchor(execute: Execute, now: string): Promise<Anchors> {
  for (const month of monthsBefore(now)) {
    const { state } = await execute.load(anchorDecider, streamOf.auditAnchors(month))
    if (state.status === 'anchored') return state
  }
  return anchorDecider.initial
}

const headOf = ({ sequence, hash, position }: Head): ChainHead => ({
  sequence: BigInt(sequence),
  hash,
  position: BigInt(position),
})

/**
 * Reads the log from the last anchor on, goes on with the chains of the audit trail, and anchors where they stand. The anchor is all that
 * is needed to go on; the read model of the chains is not asked, so what is done to it changes no anchor.
 * @throws what the log throws; Error of `anchor`.
 */
export async function anchorAudit({ log, execute, now }: AnchoringDeps, signal?: AbortSignal): Promise<Anchoring> {
  const at = now()
  const last = await lastAnchor(execute, at)
  const heads = new Map<string, { place: { topic: string; partition: number }; head: ChainHead }>()
  let readTo = -1n
  if (last.status === 'anchored') {
    readTo = last.readTo
    for (const { topic, partition, ...head } of last.heads)
      heads.set(`${topic}/${partition}`, { place: { topic, partition }, head: headOf({ topic, partition, ...head }) })
  }
  let events = 0
  let isWhole = true
  for await (const event of log.readAll({ after: readTo < 0n ? undefined : readTo, prefixes: publishedPrefixes })) {
    signal?.throwIfAborted()
    const place = placeOf(event.stream)
    if (!place) continue
    const name = `${place.topic}/${place.partition}`
    heads.set(name, { place, head: nextEntry(place, heads.get(name)?.head, event).head })
    readTo = event.position
    events += 1
    if (events >= eventsMax) {
      isWhole = false
      break
    }
    if (events % eventsAtOnce === 0) await pause(breathMs, signal)
  }
  if (events === 0) return { events, anchored: false, isWhole }
  const stream = streamOf.auditAnchors(at.slice(0, 7))
  const commandId = derivedId('audit-anchor', stream, readTo.toString())
  const anchors = [...heads.values()].map(({ place: { topic, partition }, head }) => ({
    ...{ topic, partition, sequence: Number(head.sequence) },
    ...{ hash: head.hash, position: String(head.position) },
  }))
  const { appended } = await execute(anchorDecider, {
    stream,
    context: {
      commandId,
      correlationId: commandId,
      causationId: commandId,
      actor: { type: 'system', id: 'audit-anchors' },
      occurredAt: at,
    },
    decide: anchor({ readTo, heads: anchors }),
  })
  return { events, anchored: appended, isWhole }
}

/** What came of a turn: `nothing`: there was nothing new, or another process was first. */
export const anchorOutcomes = ['anchored', 'nothing', 'failed'] as const
export type AnchorOutcome = (typeof anchorOutcomes)[number]

/**
 * Anchors again and again. Every process of the command API does; one that comes second finds that nothing is new.
 * @param intervalMs between turns; each waits up to half of it longer, so that processes do not all read the same.
 */
export function startAnchoring(
  deps: AnchoringDeps & { logger: Logger; onOutcome(outcome: AnchorOutcome): void },
  intervalMs: number,
): { stop(): Promise<void> } {
  const ending = new AbortController()
  const { signal } = ending
  const running = (async () => {
    let isWhole = true
    while (!signal.aborted) {
      await pause(isWhole ? intervalMs * (1 + Math.random() / 2) : soonMs, signal)
      if (signal.aborted) return
      try {
        const made = await anchorAudit(deps, signal)
        isWhole = made.isWhole
        deps.onOutcome(made.anchored ? 'anchored' : 'nothing')
      } catch (error) {
        if (signal.aborted) return
        isWhole = true
        deps.onOutcome('failed')
        deps.logger.error({ err: error }, 'the audit trail could not be anchored')
      }
    }
  })()
  return {
    async stop() {
      ending.abort()
      await running
    },
  }
}
