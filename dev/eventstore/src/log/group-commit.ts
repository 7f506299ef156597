import { EventEmitter } from 'node:events'
import type { EventLog } from './event-log'
import { write } from './stream-writes'
import type { WriteRequest, WriteResult } from './stream-writes'

/** Writes that share a commit. Larger groups no longer pay: the fsync is then a few microseconds per write. */
const GROUP_WRITES_MAX = 512
/** Bytes of events that share a commit: keeps a group to some 20 ms, so that reads get their turn. */
const GROUP_BYTES_MAX = 4 * 1024 * 1024
/** How long a group is gathered while writes keep coming; about the time of the fsync that is saved. */
const GATHER_MS_MAX = 2
/** Bytes of events that may wait; a client is no longer read from long before (see batch-append-call.ts). */
const WAITING_BYTES_MAX = 256 * 1024 * 1024
/** Writes that may wait. Clients have a deadline of 10 s by default; more than this would not be served in time. */
const WAITING_MAX = 50_000

/**
 * What a write ended with. `expired`: its deadline had passed, or its caller had gone, before it was begun. `unavailable`:
 * not written; it may be tried again.
 */
export type WriteOutcome = WriteResult | { kind: 'expired' } | { kind: 'unavailable'; reason: string }

interface Waiting {
  request: WriteRequest
  bytes: number
  /** Asked right before the write is begun; true leaves it out. */
  expired: () => boolean
  resolve: (outcome: WriteOutcome) => void
}

/** Emits `committed` with the ids of the streams that got events, after each commit that wrote any. */
interface GroupCommitEvents {
  committed: [streams: ReadonlySet<number>]
}

/**
 * The one writer. Writes that arrive while a commit is under way wait, and share the next one: one fsync for all of them.
 * Within a group they are applied one after the other, so each sees those before it.
 */
export class GroupCommit extends EventEmitter<GroupCommitEvents> {
  private waiting: Waiting[] = []
  private waitingBytes = 0
  private scheduled = false
  private closed = false

  /** @param onFault is told why a group could not be written */
  constructor(
    private readonly log: EventLog,
    private readonly onFault: (error: unknown) => void,
  ) {
    super()
    // One listener per live subscription; their number is bounded by the server's streams per connection.
    this.setMaxListeners(0)
  }

  /** @returns what came of it, after it is durable */
  async submit(request: WriteRequest, expired: () => boolean): Promise<WriteOutcome> {
    if (this.closed) return { kind: 'unavailable', reason: 'server is shutting down' }
    const bytes = request.kind === 'append' ? sizeOf(request) : 0
    if (this.waiting.length >= WAITING_MAX || this.waitingBytes + bytes > WAITING_BYTES_MAX)
      return { kind: 'unavailable', reason: 'server is too busy' }
    return new Promise((resolve) => {
      this.waiting.push({ request, bytes, expired, resolve })
      this.waitingBytes += bytes
      this.schedule()
    })
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.gather(0, performance.now() + GATHER_MS_MAX)
  }

  /** Waits for the IO of this turn, and for the next as long as each brings more: those writes share the fsync. */
  private gather(before: number, until: number): void {
    setImmediate(() => {
      const { length } = this.waiting
      if (length > before && length < GROUP_WRITES_MAX && performance.now() < until) return this.gather(length, until)
      this.scheduled = false
      this.commit(this.nextGroup())
      if (this.waiting.length > 0) this.schedule()
    })
  }

  private nextGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const entry of this.waiting) {
      if (count > 0 && (count === GROUP_WRITES_MAX || bytes + entry.bytes > GROUP_BYTES_MAX)) break
      bytes += entry.bytes
      count++
    }
    this.waitingBytes -= bytes
    return this.waiting.splice(0, count)
  }

  private commit(group: Waiting[]): void {
    if (group.length === 0) return
    const changed = new Set<number>()
    let outcomes: WriteOutcome[]
    try {
      const now = Date.now()
      outcomes = this.log.transaction(() =>
        group.map(({ request, expired }) => (expired() ? { kind: 'expired' } : write(this.log, request, now, changed))),
      )
    } catch (error) {
      this.onFault(error)
      for (const { resolve } of group) resolve({ kind: 'unavailable', reason: 'the log cannot be written' })
      return
    }
    for (const [index, { resolve }] of group.entries()) resolve(outcomes[index] as WriteOutcome)
    if (changed.size > 0) this.emit('committed', changed)
  }

  /** Refuses new writes and commits those that wait. */
  close(): void {
    this.closed = true
    while (this.waiting.length > 0) this.commit(this.nextGroup())
  }
}

function sizeOf(request: Extract<WriteRequest, { kind: 'append' }>): number {
  return request.events.reduce((sum, event) => sum + event.data.length + event.metadata.length, 0)
}
