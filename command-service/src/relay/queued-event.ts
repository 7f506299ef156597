import { toCloudEvent } from '@annals/contracts'
import type { LogEvent } from '@annals/platform/event-log'
import type { OutgoingRecord } from '@annals/platform/kafka'
import type { QueuedEvent } from './event-queue'
import type { Route } from './route'

/** Of a record batch, beside the record itself: its header, and the lengths of a dozen fields. */
const overheadBytes = 1_024
/** Streams have short names; where one is longer, the record is measured. */
const keyMax = 1_000

const bytesOf = ({ key, headers }: OutgoingRecord) =>
  Buffer.byteLength(key) + Object.entries(headers).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0)

/**
 * @param batchBytesMax what the topic of the event takes.
 * @returns `undefined` for an event that is not published; `'too-large'` for one of which not even a reference fits in.
 */
export function toQueued(
  event: LogEvent,
  route: Route,
  batchBytesMax: (topic: string) => number,
): QueuedEvent | 'too-large' | undefined {
  const place = route.place(event.stream)
  if (!place) return undefined
  const bytesMax = batchBytesMax(place.topic) - overheadBytes
  const { key, value, headers, timestamp } = toCloudEvent(event, bytesMax)
  const record = { topic: place.topic, partition: place.partition, key, value, headers, timestamp }
  if (value === null && key.length > keyMax && bytesOf(record) > bytesMax) return 'too-large'
  return {
    record,
    event: event.id,
    position: event.position,
    createdAt: event.createdAt,
    readAt: performance.now(),
    // Near enough for a bound: what is not counted are the small headers.
    bytes: (value?.length ?? 0) + (headers['ce_metadata']?.length ?? 0) + key.length + 500,
  }
}
