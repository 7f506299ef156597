import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventLog, StoredEvent } from '../log/event-log'
import { streamDeleted } from '../protocol/errors'
import { streamNotFound } from '../protocol/read-messages'
import type { CountedRead } from '../protocol/read-request'
import type { Outlet } from './outlet'
import { filteredColumn, PAGE_EVENTS, readableStream } from './pages'

/** Serves one read to its end: page by page, waiting for the client and giving other calls a turn after each. */
export async function serveRead(log: EventLog, read: CountedRead, outlet: Outlet): Promise<void> {
  let left = read.count
  for (const page of read.stream === undefined ? allPages(log, read) : streamPages(log, read.stream, read, outlet)) {
    if (outlet.closed) return
    const events = page.length > left ? page.slice(0, left) : page
    left -= events.length
    await outlet.send(events.map((event) => event.message))
    if (left === 0) break
    await nextTurn()
  }
  outlet.end()
}

function* allPages(log: EventLog, { start, direction, filter, count }: CountedRead): Generator<StoredEvent[]> {
  const column = filteredColumn(filter)
  // A filter may let few pass, so the number wanted says nothing about the number to look at.
  const limit = filter ? PAGE_EVENTS : Math.min(PAGE_EVENTS, count)
  let place = start === 'start' ? 0 : start === 'end' ? log.end : start
  for (;;) {
    // A position is the place before an event: backwards from it begins with the event before.
    const { events, more } =
      direction === 'forwards' ? log.readAllForwards(place, limit, column) : log.readAllBackwards(place, limit, column)
    yield filter ? events.filter((event) => filter.matches(event.filtered)) : events
    const last = events.at(-1)
    if (!more || !last) return
    place = direction === 'forwards' ? last.position + 1 : last.position
  }
}

function* streamPages(log: EventLog, name: string, read: CountedRead, outlet: Outlet): Generator<StoredEvent[]> {
  const readable = readableStream(log, name, Date.now())
  if (readable.kind === 'deleted') return outlet.fail(streamDeleted(name))
  if (readable.kind === 'not-found') {
    void outlet.send([streamNotFound(name)])
    return
  }
  const { stream, window } = readable
  const forwards = read.direction === 'forwards'
  const limit = Math.min(PAGE_EVENTS, read.count)
  const { lastRevision } = stream
  const start = read.start === 'start' ? 0 : read.start === 'end' ? lastRevision + (forwards ? 1 : 0) : read.start
  let revision = forwards ? Math.max(start, window.firstRevision) : Math.min(start, lastRevision)
  for (;;) {
    const { events, more } = forwards
      ? log.readStreamForwards(stream.id, revision, window.createdFrom, limit)
      : log.readStreamBackwards(stream.id, revision, window.firstRevision, window.createdFrom, limit)
    yield events
    const last = events.at(-1)
    if (!more || !last) return
    revision = last.revision + (forwards ? 1 : -1)
  }
}
