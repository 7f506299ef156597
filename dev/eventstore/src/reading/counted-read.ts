import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventLog, StoredEvent } from '../log/event-log'
import { streamDeleted } from '../protocol/errors'
import { streamNotFound } from '../protocol/read-messages'
import type { CountedRead } from '../protocol/read-request'
import type { Outlet } from './outlet'
import { filteredColumn, filterPage, PAGE_EVENTS, readableStream } from './pages'

/** Serves one read to its end: page by page, waiting for the client and giving other calls a turn after each. */
export async function serveRead(log: EventLog, read: CountedRead, outlet: Outlet): Promise<void> {
  let left = read.count
  for (const page of read.stream === undefined ? allPages(log, read) : streamPages(log, read.stream, read, outlet)) {
    if (outlet.closed || left === 0) break
    const events = page.length > left ? page.slice(0, left) : page
    left -= events.length
    await outlet.send(events.map((event) => event.message))
    await nextTurn()
  }
  outlet.end()
}

function* allPages(log: EventLog, { start, direction, filter, count }: CountedRead): Generator<StoredEvent[]> {
  const column = filteredColumn(filter)
  // A filter may let few pass, so the number wanted says nothing about the number to look at.
  const limit = filter ? PAGE_EVENTS : Math.min(PAGE_EVENTS, count)
  if (direction === 'forwards') {
    let from = start === 'start' ? 0 : start === 'end' ? log.end : start
    for (;;) {
      const page = filterPage(log.readAllForwards(from, limit, column), filter)
      yield page.events
      if (page.considered < limit || page.lastPosition === undefined) return
      from = page.lastPosition + 1
    }
  }
  // A position is the place before an event: backwards from it begins with the event before.
  let before = start === 'start' ? 0 : start === 'end' ? log.end : start
  for (;;) {
    const page = filterPage(log.readAllBackwards(before, limit, column), filter)
    yield page.events
    if (page.considered < limit || page.lastPosition === undefined) return
    before = page.lastPosition
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
  const limit = Math.min(PAGE_EVENTS, read.count)
  const start = read.start === 'start' ? 0 : read.start === 'end' ? stream.lastRevision : read.start
  if (read.direction === 'forwards') {
    let from = read.start === 'end' ? stream.lastRevision + 1 : Math.max(start, window.firstRevision)
    for (;;) {
      const page = log.readStreamForwards(stream.id, from, window.createdFrom, limit)
      yield page
      if (page.length < limit) return
      from = (page.at(-1) as StoredEvent).revision + 1
    }
  }
  let from = Math.min(start, stream.lastRevision)
  for (;;) {
    const page = log.readStreamBackwards(stream.id, from, window.firstRevision, window.createdFrom, limit)
    yield page
    if (page.length < limit) return
    from = (page.at(-1) as StoredEvent).revision - 1
  }
}
