import {
  decodeEvent,
  eventDefinitions,
  sealedPartOf,
  type AnnalsEvent,
  type DecodeResult,
  type OpenAll,
  type RecordedEvent,
  type SealedPart,
} from '@annals/contracts'
import type { ChainHead } from '@annals/platform/hash-chain'
import { isChain } from '../definition/chain'
import type { Row } from '../definition/columns'
import { rowName, storedRow, type Projection, type RowKey, type StoredRow } from '../definition/projection'
import { linkNext } from './chain'

/** What a projection makes of a recorded event before it looks at any state. */
export type Reading =
  | { kind: 'event'; event: AnnalsEvent }
  /** Of no interest to this projection. */
  | { kind: 'unhandled' }
  | { kind: 'unknown-type' }
  | { kind: 'newer-version'; version: number }
  | { kind: 'invalid'; reason: string; cause?: Error }
  /** Its content is in the log only, which does not answer now. */
  | { kind: 'unread'; reason: string }

export interface ReadEvent {
  recorded: RecordedEvent
  /** Of its topic, where the event travels. */
  partition: number
  reading: Reading
}

/** How far a projection has come in one stream. */
export interface StreamState {
  /** Revision of the last event that was applied, passed over, parked or queued. */
  readonly revision: number
  /** An event of the stream is parked, and later ones queue behind it. */
  readonly blocked: boolean
}

/** An event that could not be applied (with its error), or one that waits behind such a one (without). */
export interface ParkedEvent {
  recorded: RecordedEvent
  partition: number
  error: Error | undefined
}

/** The state that events are folded into: whatever the caller loaded, and what it does with changes. */
export interface Memory {
  row(name: string): Row | undefined
  setRow(name: string, row: StoredRow): void
  stream(name: string): StreamState | undefined
  setStream(name: string, state: StreamState): void
  park(parked: ParkedEvent): void
  /** The last entry of a chain, by `topic/partition`; `undefined`: none yet. Of read models of the grain `chain` only. */
  head(place: string): ChainHead | undefined
  setHead(place: string, head: ChainHead): void
}

export type Verdict =
  | { kind: 'applied' | 'unhandled' | 'unknown-type' | 'duplicate' | 'parked' | 'queued' }
  /** Nothing was changed, and nothing after this event may be: the partition has to wait. */
  | { kind: 'stop'; because: 'newer-version' | 'unread'; reason: string }
  /** `after`: the last revision of the stream that was seen; -1: none. */
  | { kind: 'stop'; because: 'hole'; reason: string; after: number }

/** The event cannot be applied as it is recorded. */
export class InvalidEvent extends Error {
  override readonly name = 'InvalidEvent'
}

/** What several projections that go through the same events have decoded already, by the event's index. */
export interface DecodeMemo {
  /** With personal data opened. */
  opened: (DecodeResult | undefined)[]
  /** Without: also every event that has none. */
  closed: (DecodeResult | undefined)[]
}

export const decodeMemo = (): DecodeMemo => ({ opened: [], closed: [] })

/**
 * Reads recorded events for a projection, in order. Only what it handles is decoded, and only what it may see is opened.
 * @param shared results of other projections, and the index in them of each event here.
 * @throws whatever `openAll` throws: nothing has been decided, ask again.
 */
export async function readFor(
  projection: Projection,
  recorded: readonly RecordedEvent[],
  openAll: OpenAll,
  shared?: { memo: DecodeMemo; indexes: readonly number[] },
): Promise<Reading[]> {
  const readings: Reading[] = []
  const sealed: { at: number; part: SealedPart }[] = []
  const remember = (kind: keyof DecodeMemo, i: number, result: DecodeResult) => {
    if (shared) shared.memo[kind][shared.indexes[i]!] = result
    readings[i] = result
  }
  for (const [i, event] of recorded.entries()) {
    if (!projection.on[event.type]) {
      readings[i] = { kind: Object.hasOwn(eventDefinitions, event.type) ? 'unhandled' : 'unknown-type' }
      continue
    }
    const part = sealedPartOf(event)
    const kind = part && projection.readsPersonal ? 'opened' : 'closed'
    const known = shared?.memo[kind][shared.indexes[i]!]
    if (known) readings[i] = known
    else if (!part) remember('closed', i, decodeEvent(event))
    else if (projection.readsPersonal) sealed.push({ at: i, part })
    else remember('closed', i, decodeEvent(event, null))
  }
  if (sealed.length > 0) {
    const opened = await openAll(sealed.map(({ part }) => part))
    for (const [n, { at }] of sealed.entries()) remember('opened', at, decodeEvent(recorded[at]!, opened[n]!))
  }
  return readings
}

/** Folds one event into its row. @throws what the projection's function throws, and UnfitRow. */
function foldRow(projection: Projection, memory: RowMemory, event: AnnalsEvent, partition: number): void {
  const key = projection.key(event)
  if (key === undefined) return
  const shard = projection.grain === 'shard' ? partition : 0
  const name = rowName(key, shard)
  const before = projection.grain === 'event' ? undefined : memory.row(name)
  const after = projection.on[event.type]!(before, event)
  if (after !== before) memory.setRow(name, storedRow(projection, key, shard, after))
}

/** What judging an event by the revisions of its stream comes to; `undefined`: it is the next one. */
export function judgeRevision({ stream, revision }: RecordedEvent, last: number): Verdict | undefined {
  if (revision <= last) return { kind: 'duplicate' }
  if (revision === last + 1) return undefined
  const reason = `stream ${stream}: revision ${revision} came after ${last}`
  return { kind: 'stop', because: 'hole', reason, after: last }
}

/** Where a read model puts what it makes of an event. */
export type RowMemory = Pick<Memory, 'row' | 'setRow' | 'park' | 'head' | 'setHead'>

/**
 * What one read model makes of the event that comes next in its stream: it is folded, parked, or queued behind what is parked.
 * @param isBlocked an event of the stream is parked.
 */
export function applyNext(
  projection: Projection,
  memory: RowMemory,
  { recorded, partition, reading }: ReadEvent,
  isBlocked: boolean,
): Verdict {
  // Before it can queue: what queues is kept whole.
  if (reading.kind === 'unread') return { kind: 'stop', because: 'unread', reason: reading.reason }
  if (isBlocked) {
    memory.park({ recorded, partition, error: undefined })
    return { kind: 'queued' }
  }
  if (reading.kind === 'newer-version') {
    const reason = `${recorded.type} version ${reading.version} in stream ${recorded.stream}: a newer release has to read it`
    return { kind: 'stop', because: 'newer-version', reason }
  }
  if (isChain(projection)) {
    // Whatever it is, it has its entry: a chain leaves nothing out, so nothing of it is ever parked.
    const { stored, place, head } = linkNext(projection, memory, recorded, reading)
    memory.setRow(rowName(stored.key, stored.shard), stored)
    memory.setHead(place, head)
    return { kind: 'applied' }
  }
  if (reading.kind === 'unhandled' || reading.kind === 'unknown-type') return { kind: reading.kind }
  try {
    if (reading.kind === 'invalid') throw new InvalidEvent(reading.reason, { cause: reading.cause })
    foldRow(projection, memory, reading.event, partition)
  } catch (error) {
    memory.park({ recorded, partition, error: error instanceof Error ? error : new Error(String(error)) })
    return { kind: 'parked' }
  }
  return { kind: 'applied' }
}

/** The whole of what happens to one event where a read model has a memory of its own: judged by its stream's revision, then applied. */
export function applyEvent(projection: Projection, memory: Memory, event: ReadEvent): Verdict {
  const { stream, revision } = event.recorded
  const state = memory.stream(stream)
  const judged = judgeRevision(event.recorded, state?.revision ?? -1)
  if (judged) return judged
  const verdict = applyNext(projection, memory, event, state?.blocked ?? false)
  if (verdict.kind === 'stop') return verdict
  memory.setStream(stream, { revision, blocked: verdict.kind === 'parked' || verdict.kind === 'queued' })
  return verdict
}

/** The rows that events will touch, as far as it can be told before folding: what to load. */
export function touchedRows(projection: Projection, events: readonly ReadEvent[]): RowKey[] {
  if (projection.grain === 'event' || projection.grain === 'chain') return []
  const touched = new Map<string, RowKey>()
  for (const { reading, partition } of events) {
    if (reading.kind !== 'event') continue
    const key = keyOrNone(projection, reading.event)
    if (key === undefined) continue
    const shard = projection.grain === 'shard' ? partition : 0
    touched.set(rowName(key, shard), { key, shard })
  }
  return [...touched.values()]
}

/** A key function that throws parks its event later, in `applyEvent`; here it only must not stop the batch. */
function keyOrNone(projection: Projection, event: AnnalsEvent): string | undefined {
  try {
    return projection.key(event)
  } catch {
    return undefined
  }
}
