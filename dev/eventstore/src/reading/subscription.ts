import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventLog, StoredEvent } from '../log/event-log'
import type { GroupCommit } from '../log/group-commit'
import { streamDeleted } from '../protocol/errors'
import { caughtUp, checkpoint, confirmation } from '../protocol/read-messages'
import type { SubscriptionRequest } from '../protocol/read-request'
import { NO_EVENTS } from '../rules/expected-revision'
import type { Outlet } from './outlet'
import { filteredColumn, PAGE_EVENTS, readableStream } from './pages'

/**
 * Serves one subscription until its client goes. There is one way for an event to reach a subscriber: by being read
 * from the log after the last one sent. History and live events differ only in whether there was a wait before the
 * read. So the switch between them can neither skip nor double an event, and a slow subscriber holds nothing in
 * memory.
 */
export async function serveSubscription(
  log: EventLog,
  commits: GroupCommit,
  request: SubscriptionRequest,
  outlet: Outlet,
): Promise<void> {
  const source = request.stream === undefined ? allSource(log, request) : streamSource(log, request.stream, request)
  const wakeUp = new WakeUp(commits, source, outlet)
  try {
    await outlet.send([confirmation(randomUUID())])
    let live = false
    while (!outlet.closed) {
      const page = source.next(live)
      if (page === 'deleted') return outlet.fail(streamDeleted(request.stream as string))
      const messages = page.events.map((event) => event.message)
      if (page.checkpoint !== undefined) messages.push(checkpoint(page.checkpoint, Date.now()))
      await outlet.send(messages)
      if (page.more) {
        await nextTurn()
        continue
      }
      if (!live) {
        live = true
        const { reached } = source
        const last =
          request.filter && reached && 'position' in reached ? [checkpoint(reached.position, Date.now())] : []
        await outlet.send([...last, caughtUp(Date.now(), reached)])
      }
      await wakeUp.wait()
    }
  } finally {
    wakeUp.close()
  }
}

interface SourcePage {
  events: StoredEvent[]
  /** There may be another page. */
  more: boolean
  /** Set when a checkpoint is due after these events. */
  checkpoint?: number
}

/** Reads on from where it was. `live` when the subscriber had already caught up. */
interface Source {
  /** The last place that was considered; `undefined`: none was. */
  readonly reached: { position: number } | { revision: number } | undefined
  next(live: boolean): SourcePage | 'deleted'
  concerns(streams: ReadonlySet<number>): boolean
}

function allSource(log: EventLog, { start, filter, checkpointInterval }: SubscriptionRequest): Source {
  let from = start === 'start' ? 0 : start === 'end' ? log.end : start + 1
  const column = filteredColumn(filter)
  let sinceCheckpoint = 0
  let last: StoredEvent | undefined
  return {
    get reached() {
      return last && { position: last.position }
    },
    concerns: () => true,
    next() {
      // Ends where a checkpoint is due, so that it names the last event considered and comes right after it.
      const limit = checkpointInterval ? Math.min(PAGE_EVENTS, checkpointInterval - sinceCheckpoint) : PAGE_EVENTS
      const { events: all, more } = log.readAllForwards(from, limit, column)
      const events = filter ? all.filter((event) => filter.matches(event.filtered)) : all
      const page = { events, more }
      last = all.at(-1) ?? last
      if (!last || all.length === 0) return page
      from = last.position + 1
      sinceCheckpoint += all.length
      if (sinceCheckpoint !== checkpointInterval) return page
      sinceCheckpoint = 0
      return { ...page, checkpoint: last.position }
    },
  }
}

function streamSource(log: EventLog, name: string, { start }: SubscriptionRequest): Source {
  const lastRevision = log.find(name)?.lastRevision ?? NO_EVENTS
  let from = start === 'start' ? 0 : start === 'end' ? lastRevision + 1 : start + 1
  return {
    get reached() {
      return from > 0 ? { revision: from - 1 } : undefined
    },
    concerns(streams) {
      const stream = log.find(name)
      return stream !== undefined && streams.has(stream.id)
    },
    next(live) {
      const readable = readableStream(log, name, Date.now())
      if (readable.kind === 'deleted') return 'deleted'
      if (readable.kind === 'not-found') return { events: [], more: false }
      // What was appended while the subscriber was waiting is its own, even if $maxCount has hidden it since.
      const first = live ? from : Math.max(from, readable.window.firstRevision)
      const createdFrom = live ? 0 : readable.window.createdFrom
      const { events, more } = log.readStreamForwards(readable.stream.id, first, createdFrom, PAGE_EVENTS)
      from = (events.at(-1)?.revision ?? from - 1) + 1
      return { events, more }
    },
  }
}

/** Waits for a commit that concerns the source; one that came since the last wait counts. */
class WakeUp {
  private pending = false
  private waiting: (() => void) | undefined
  private readonly onCommit

  constructor(
    private readonly commits: GroupCommit,
    source: Source,
    private readonly outlet: Outlet,
  ) {
    this.onCommit = (streams: ReadonlySet<number>) => {
      if (source.concerns(streams)) this.signal()
    }
    commits.on('committed', this.onCommit)
    outlet.onClose(() => this.signal())
  }

  private signal(): void {
    this.pending = true
    this.waiting?.()
  }

  async wait(): Promise<void> {
    if (!this.pending && !this.outlet.closed)
      await new Promise<void>((resolve) => {
        this.waiting = resolve
      })
    this.waiting = undefined
    this.pending = false
  }

  close(): void {
    this.commits.off('committed', this.onCommit)
  }
}
