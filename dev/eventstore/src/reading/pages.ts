import { isMetastream, isSoftDeleted, metastreamMetadata, originalOf, readableWindow } from '../rules/stream-metadata'
import type { ReadableWindow } from '../rules/stream-metadata'
import { NO_EVENTS } from '../rules/expected-revision'
import type { EventFilter } from '../rules/event-filter'
import type { EventLog, StreamState } from '../log/event-log'

/**
 * Events read from disk at once. A page takes about a millisecond and is given to the client before the next is read,
 * so that appends get their turn between two pages.
 */
export const PAGE_EVENTS = 256

export const filteredColumn = (filter: EventFilter | undefined): 'none' | 'type' | 'stream' => filter?.on ?? 'none'

export type ReadableStream =
  { kind: 'not-found' } | { kind: 'deleted' } | { kind: 'readable'; stream: StreamState; window: ReadableWindow }

/** What of a stream can be read now, by its metadata. @param now ms since 1970 */
export function readableStream(log: EventLog, name: string, now: number): ReadableStream {
  const stream = log.find(name)
  const original = isMetastream(name) ? log.find(originalOf(name)) : undefined
  if (stream?.tombstoned || original?.tombstoned) return { kind: 'deleted' }
  if (!stream || stream.lastRevision === NO_EVENTS || isSoftDeleted(stream.metadata)) return { kind: 'not-found' }
  const metadata = isMetastream(name) ? metastreamMetadata : stream.metadata
  return { kind: 'readable', stream, window: readableWindow(metadata, stream.lastRevision, now) }
}
