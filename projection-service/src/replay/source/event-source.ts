import { placeOf, type RecordedEvent, type TopicName } from '@annals/contracts'
import { StreamDeleted, type EventLog, type LogEvent } from '@annals/platform/event-log'
import { prefixesOf } from '../../engine/definition/topics'
import type { PlacedEvent } from '../fold/bulk-fold'

/** Where folds get their events from: the log, some of its streams, or the topics. */
export interface EventSource {
  /** Whether an event may come again (topics hold what a relay published twice, and hand out batches anew after a rebalance). */
  readonly repeats: 'refused' | 'passed-over'
  /**
   * Events in chunks, from the first one to the end that the source was opened with; then it ends. The events of one
   * partition come in their order; those of different partitions in any.
   */
  chunks(signal: AbortSignal): AsyncIterable<readonly PlacedEvent[]>
  /** Streams that could not be folded, for people; complete when the source has come to its end. */
  readonly passedOver?: readonly string[]
}

/** A point of the log, itself included. */
export type Point =
  | { kind: 'position'; position: bigint }
  /** All before the first event that the log's server recorded later; epoch ms. What events say of themselves does not count. */
  | { kind: 'time'; at: number }

/** Decoded and folded at once: enough for few statements, few enough for the event loop. */
const chunkSize = 2_000
/** Streams of a scope: their names fit into some 20 MB. */
const scopedStreamsMax = 100_000

/** So much of the log belongs to the scope that it has to be narrowed, or all folded. */
export class ScopeTooLarge extends Error {
  override readonly name = 'ScopeTooLarge'
}

export function placed(recorded: RecordedEvent & { createdAt?: number }): PlacedEvent | undefined {
  const place = placeOf(recorded.stream)
  const at = recorded.createdAt ?? happenedAt(recorded)
  return place && { recorded, place: `${place.topic}/${place.partition}`, partition: place.partition, at }
}

/** When an event says that it happened, in epoch ms; NaN where its metadata does not tell. */
const happenedAt = ({ metadata }: RecordedEvent) =>
  Date.parse(String((metadata as { occurredAt?: unknown } | null | undefined)?.occurredAt))

const isAfter = (event: LogEvent, point: Point): boolean =>
  point.kind === 'position' ? event.position > point.position : event.createdAt > point.at

const isFrom = (event: LogEvent, point: Point): boolean =>
  point.kind === 'position' ? event.position >= point.position : event.createdAt >= point.at

const isBefore = (event: LogEvent, point: Point): boolean =>
  point.kind === 'position' ? event.position < point.position : event.createdAt < point.at

async function* inChunks(events: AsyncIterable<RecordedEvent>, signal: AbortSignal) {
  let chunk: PlacedEvent[] = []
  for await (const event of events) {
    signal.throwIfAborted()
    const one = placed(event)
    if (!one || chunk.push(one) < chunkSize) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}

/** The clock of the log's server went back at the point that was asked for: a time does not tell what the log held. */
export class TimeUnclear extends Error {
  override readonly name = 'TimeUnclear'
}

/** Events behind the end of a snapshot that are looked at, in case that clock went back. */
const lookAhead = 10_000

/**
 * The log up to a point, or to its end.
 * @throws (while it is read) TimeUnclear
 */
export function logSource(log: Pick<EventLog, 'readAll'>, names: readonly TopicName[], until?: Point): EventSource {
  async function* events() {
    let later: LogEvent | undefined
    let beyond = 0
    for await (const event of log.readAll({ after: undefined, prefixes: prefixesOf(names) })) {
      if (!later && !(until && isAfter(event, until))) {
        yield event
        continue
      }
      later ??= event
      if (until?.kind !== 'time' || ++beyond > lookAhead) return
      if (event.createdAt <= until.at) throw new TimeUnclear(clockWentBack(later, event))
    }
  }
  return { repeats: 'refused', chunks: (signal) => inChunks(events(), signal) }
}

const clockWentBack = (later: LogEvent, earlier: LogEvent): string =>
  `the clock of the log's server went back: position ${later.position} was recorded at ` +
  `${new Date(later.createdAt).toISOString()}, position ${earlier.position} behind it at ` +
  `${new Date(earlier.createdAt).toISOString()}. Name a position instead, such as ${later.position - 1n} or ${earlier.position}`

/** Whole streams of the log. Those that somebody has deleted there, in whole or in part, are passed over. */
export function streamsSource(log: Pick<EventLog, 'readStream'>, streams: readonly string[]): EventSource {
  const passedOver: string[] = []
  async function* events() {
    for (const stream of streams) {
      const recorded = await readOrNone(log, stream)
      if (recorded[0]?.revision === 0) yield* recorded
      else passedOver.push(stream)
    }
  }
  return { repeats: 'refused', passedOver, chunks: (signal) => inChunks(events(), signal) }
}

async function readOrNone(log: Pick<EventLog, 'readStream'>, stream: string): Promise<LogEvent[]> {
  try {
    return await log.readStream(stream)
  } catch (error) {
    if (error instanceof StreamDeleted) return []
    throw error
  }
}

/** Which streams are folded; of several conditions all hold. */
export interface StreamScope {
  stream?: string | undefined
  /** Streams with an event that names this user. */
  userId?: string | undefined
  /** Streams with an event from there on. */
  from?: Point | undefined
  /** Streams with an event before it. */
  to?: Point | undefined
}

/**
 * Goes through the log for the streams of a scope.
 * @throws ScopeTooLarge beyond 100,000.
 */
export async function streamsInScope(
  log: Pick<EventLog, 'readAll'>,
  names: readonly TopicName[],
  { stream, userId, from, to }: StreamScope,
  signal: AbortSignal,
): Promise<string[]> {
  if (stream !== undefined && userId === undefined && !from && !to) return [stream]
  const found = new Set<string>()
  for await (const event of log.readAll({ after: undefined, prefixes: prefixesOf(names) })) {
    signal.throwIfAborted()
    if (stream !== undefined && event.stream !== stream) continue
    if (userId !== undefined && (event.data as { userId?: unknown } | null)?.userId !== userId) continue
    if ((from && !isFrom(event, from)) || (to && !isBefore(event, to))) continue
    found.add(event.stream)
    if (found.size > scopedStreamsMax)
      throw new ScopeTooLarge(
        `more than ${scopedStreamsMax} streams are in scope: narrow it, or fold all with \`--as-of\``,
      )
  }
  return [...found]
}
