import {
  END,
  ErrorType,
  excludeSystemEvents,
  START,
  streamNameFilter,
  type ReadPosition,
  type ReadStreamOptions,
  type ResolvedEvent,
  type StreamingRead,
} from '@eventstore/db-client'
import type { Logger } from 'pino'
import { backoffMs, pause } from '../backoff'
import { createAppends } from './append-call'
import {
  appendErrorKind,
  errorCode,
  isRefusedPosition,
  LogChanged,
  StreamDeleted,
  UnknownAppendOutcome,
} from './errors'
import { eventOfMessage } from './event-message'
import { readAllCall } from './read-call'
import { createRenewableClient } from './renewable-client'
import { eventLogDeadlines, type EventLogDeadlines } from './deadlines'
import { answered, Silent, whileAlive } from './silence'

/** An event as the log holds it. Nothing about data and metadata has been checked. */
export interface LogEvent {
  id: string
  type: string
  stream: string
  /** Number in its stream, from 0. */
  revision: number
  /** Commit position; grows over the whole log. */
  position: bigint
  /** Epoch ms, by the clock of the log's server: when it was appended, whatever its metadata say. */
  createdAt: number
  /** Bytes where the event is not JSON. */
  data: unknown
  /** `undefined` where there are none; bytes where they are not JSON. */
  metadata: unknown
}

export interface NewLogEvent {
  /** UUID; a repeat of an append is recognised by it. */
  id: string
  type: string
  data: unknown
  metadata: unknown
}

export interface Appended {
  /** Revision of the last event appended. */
  revision: number
  position: bigint
}

/** A part of the log. */
export interface LogExtent {
  /** Only events after this position; `undefined`: from the beginning. */
  after: bigint | undefined
  /** Stream-name prefixes; without them every stream. */
  prefixes?: readonly string[]
}

export interface LogSubscription extends LogExtent {
  /** Id of the event at `after`: the log is asked for it again on each connection. */
  afterId?: string | undefined
  /** Ends the subscription, without an error. */
  signal: AbortSignal
}

/** The log. The server's own events (their type or stream begins with `$`, a tombstone's too) are never handed out. */
export interface EventLog {
  /**
   * Events of a stream from a revision on, in order; `[]` when there is no such stream, or it was deleted softly.
   * @param countMax so many at most; default: all there are.
   * @throws StreamDeleted when it was deleted for good.
   */
  readStream(stream: string, fromRevision?: number, countMax?: number): Promise<LogEvent[]>
  /** The last event of a stream; `undefined` and StreamDeleted as with `readStream`. However long the stream is, one event is read. */
  lastOf(stream: string): Promise<LogEvent | undefined>
  /**
   * Appends all events or none. An answer that is lost is asked for again with the same ids, which the server recognises.
   * @param expectedRevision revision of the last event that was read; -1: the stream must not exist.
   * @throws the client's WrongExpectedVersionError; StreamDeleted; UnknownAppendOutcome when no attempt was answered.
   */
  append(stream: string, events: readonly NewLogEvent[], expectedRevision: number): Promise<Appended>
  /**
   * Reads what the log holds now, in log order, then ends. Fails when the server says nothing for 10 s; while it looks for streams
   * with these prefixes, when it does not answer another question.
   */
  readAll(options: LogExtent): AsyncIterable<LogEvent>
  /**
   * The same as messages of the server, for {@link eventsOfMessages} in another thread. It may begin with the event at `after`, and
   * have events of the server's own between.
   */
  readAllMessages(options: LogExtent): AsyncIterable<readonly Buffer[]>
  /**
   * Reads on for ever: what there is, then what comes. Resumes by itself after a fault, from the last event handed out; a
   * server that says nothing counts as gone after 15 s.
   * @throws LogChanged when, on a later connection, the last event handed out (`afterId`: before the first) is no longer where it was.
   */
  subscribe(options: LogSubscription): AsyncIterable<LogEvent>
  /**
   * What was written lately.
   * @param since epoch ms, by the server's clock.
   * @param countMax events looked through at most, of any stream.
   * @returns newest first; `undefined` when there are more than `countMax`.
   */
  recent(options: { since: number; prefixes: readonly string[]; countMax: number }): Promise<LogEvent[] | undefined>
  /** Position of the newest event in the log, the server's own included, or `undefined` when it is empty. */
  head(): Promise<bigint | undefined>
  /** What tells one log from another: the id of its first event; `undefined` while it has none. */
  identity(): Promise<string | undefined>
  /** The event at exactly this position; `undefined` when the log ends before it, or has something else there. */
  eventAt(position: bigint): Promise<LogEvent | undefined>
  close(): Promise<void>
}

/** Attempts of one append; with their deadline, a caller waits 15 s at most. */
const appendAttemptsMax = 3
const closeTimeoutMs = 2_000
const appendBackoff = { firstMs: 50, maxMs: 500 }
const subscriptionBackoff = { firstMs: 100, maxMs: 5_000 }
/** A new server writes a dozen events of its own before it is used. */
const identityPage = 64
/** Some milliseconds of work, and less than a megabyte. */
const recentPage = 512
/** A position is a signed number of 64 bits. */
const positionMax = 2n ** 63n - 1n

const positionOf = ({ event, commitPosition }: ResolvedEvent): bigint | undefined =>
  event?.position?.commit ?? commitPosition

/** @returns `undefined` for what is the server's own. */
const toLogEvent = (resolved: ResolvedEvent): LogEvent | undefined => {
  const { event } = resolved
  if (!event || event.type.startsWith('$') || event.streamId.startsWith('$')) return undefined
  return {
    id: event.id,
    type: event.type,
    stream: event.streamId,
    revision: Number(event.revision),
    position: positionOf(resolved) ?? -1n,
    createdAt: event.created.getTime(),
    data: event.data,
    metadata: event.metadata,
  }
}

/** Opens the log through the official client. `url`: an `esdb://` connection string. */
export function createEventLog(url: string, log: Logger, deadlines: EventLogDeadlines = eventLogDeadlines): EventLog {
  const client = createRenewableClient(url, log, deadlines.renewEveryMs)
  const appends = createAppends()
  const filterOf = (prefixes: readonly string[] | undefined) =>
    prefixes ? streamNameFilter({ prefixes: [...prefixes] }) : excludeSystemEvents()
  const fromOf = (after: bigint | undefined): ReadPosition =>
    after === undefined ? START : { commit: after, prepare: after }

  /** As {@link answered}; what is silent is not asked again on the same connection. */
  async function* inTime<T>(read: StreamingRead<T>): AsyncGenerator<T> {
    try {
      yield* answered(read, deadlines.answerMs)
    } catch (error) {
      if (error instanceof Silent) client.failed(error)
      throw error
    }
  }

  /** @returns `[]` when there is no such stream. */
  async function readOf(stream: string, options: ReadStreamOptions): Promise<LogEvent[]> {
    const events: LogEvent[] = []
    try {
      for await (const resolved of inTime(client.current.readStream(stream, options))) {
        const event = toLogEvent(resolved)
        if (event) events.push(event)
      }
    } catch (error) {
      if (errorCode(error) === ErrorType.STREAM_NOT_FOUND) return []
      throw asDeleted(stream, error)
    }
    return events
  }

  const asDeleted = (stream: string, error: unknown) =>
    errorCode(error) === ErrorType.STREAM_DELETED ? new StreamDeleted(stream, { cause: error }) : error

  async function* readAllMessages({ after, prefixes }: LogExtent) {
    const messages = await readAllCall(client.current, after, prefixes)
    try {
      // What is read with a filter may be far apart.
      yield* whileAlive(messages, deadlines.quietMs, prefixes && head)
    } finally {
      messages.cancel()
    }
  }

  async function* readAll(extent: LogExtent) {
    const { after } = extent
    for await (const messages of readAllMessages(extent)) {
      for (const message of messages) {
        const event = eventOfMessage(message)
        // A read from a position includes the event at it.
        if (event && (after === undefined || event.position > after)) yield event
      }
    }
  }

  async function recent({ since, prefixes, countMax }: Parameters<EventLog['recent']>[0]) {
    const found: LogEvent[] = []
    let from: ReadPosition = END
    for (let count = 0, isOld = false; count <= countMax;) {
      const page = { direction: 'backwards', fromPosition: from, maxCount: recentPage } as const
      let pageCount = 0
      // To its end, although what is older is not wanted: a read that is left early never ends.
      for await (const resolved of inTime(client.current.readAll(page))) {
        pageCount++
        const event = toLogEvent(resolved)
        const position = positionOf(resolved)
        if (position !== undefined) from = { commit: position, prepare: position }
        isOld ||= resolved.event !== undefined && resolved.event.created.getTime() < since
        if (event && !isOld && prefixes.some((prefix) => event.stream.startsWith(prefix))) found.push(event)
      }
      if (isOld || pageCount < recentPage) return found
      count += pageCount
    }
    return undefined
  }

  async function head() {
    const newest = { direction: 'backwards', fromPosition: 'end', maxCount: 1 } as const
    let position: bigint | undefined
    // To its end, although one event is all there is: a read that is left early never ends.
    for await (const resolved of inTime(client.current.readAll(newest))) position = positionOf(resolved)
    return position
  }

  async function eventAt(position: bigint) {
    if (position < 0n || position > positionMax) return undefined
    const at = { fromPosition: fromOf(position), maxCount: 1 }
    for (let attempt = 1; ; attempt++) {
      try {
        let found: LogEvent | undefined
        for await (const resolved of inTime(client.current.readAll(at))) found = toLogEvent(resolved)
        return found?.position === position ? found : undefined
      } catch (error) {
        if (!isRefusedPosition(error)) throw error
        if (attempt > 1) return undefined
        // A server that answers other questions, and refuses this one again, does not have the position.
        await head()
      }
    }
  }

  async function identity() {
    for (let from: bigint | undefined, last: bigint | undefined; ; from = last) {
      let first: LogEvent | undefined
      for await (const resolved of inTime(
        client.current.readAll({ fromPosition: fromOf(from), maxCount: identityPage }),
      )) {
        first ??= toLogEvent(resolved)
        last = positionOf(resolved)
      }
      if (first) return first.id
      // A page begins with the event that the one before ended with: this one has nothing else.
      if (last === from) return undefined
    }
  }

  /** The last event handed out; without its id nothing can be compared. */
  interface Place {
    position: bigint
    id: string | undefined
  }

  async function assertUnchanged({ position, id }: Place) {
    if (id === undefined) return
    const found = await eventAt(position)
    if (found?.id !== id)
      throw new LogChanged(`the log has ${found ? `event ${found.id}` : 'no event'} at ${position}, where ${id} was`)
  }

  async function* subscribeOnce(last: Place | undefined, options: LogSubscription) {
    const subscription = client.current.subscribeToAll({
      fromPosition: fromOf(last?.position),
      filter: filterOf(options.prefixes),
    })
    const stop = () => void subscription.unsubscribe().catch(() => undefined)
    options.signal.addEventListener('abort', stop)
    let isCompared = last === undefined
    try {
      for await (const resolved of whileAlive(subscription, deadlines.quietMs, head)) {
        const event = toLogEvent(resolved)
        if (!event || (last !== undefined && event.position <= last.position)) continue
        // Asked after the subscription has spoken: the log that it reads from is the one that answers.
        if (!isCompared) await assertUnchanged(last!)
        isCompared = true
        yield event
      }
    } finally {
      options.signal.removeEventListener('abort', stop)
      await subscription.unsubscribe().catch(() => undefined)
    }
  }

  return {
    readStream: (stream, fromRevision = 0, countMax) =>
      readOf(stream, {
        fromRevision: fromRevision === 0 ? START : BigInt(fromRevision),
        ...(countMax === undefined ? {} : { maxCount: countMax }),
      }),

    async lastOf(stream) {
      const [last] = await readOf(stream, { direction: 'backwards', fromRevision: END, maxCount: 1 })
      return last
    },

    async append(stream, events, expectedRevision) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await appends.append(client.current, stream, events, expectedRevision, deadlines.appendMs)
        } catch (error) {
          if (appendErrorKind(error) !== 'unknown') throw asDeleted(stream, error)
          client.failed(error)
          if (attempt >= appendAttemptsMax)
            throw new UnknownAppendOutcome(`append to ${stream} was not answered`, { cause: error })
          log.warn({ err: error, stream, attempt }, 'append not answered, asking again with the same ids')
          await pause(backoffMs(appendBackoff, attempt, Math.random()))
        }
      }
    },

    readAll,
    readAllMessages,

    async *subscribe(options) {
      let last = options.after === undefined ? undefined : { position: options.after, id: options.afterId }
      for (let attempt = 1; !options.signal.aborted; attempt++) {
        try {
          for await (const event of subscribeOnce(last, options)) {
            yield event
            last = { position: event.position, id: event.id }
            attempt = 0
          }
        } catch (error) {
          if (options.signal.aborted) return
          if (error instanceof LogChanged) throw error
          log.warn({ err: error, after: String(last?.position) }, 'subscription to the log ended, resuming')
        }
        await pause(backoffMs(subscriptionBackoff, attempt, Math.random()), options.signal)
      }
    },

    recent,
    head,
    identity,
    eventAt,

    async close() {
      const closed = new AbortController()
      // The client waits for every call to end; one that does not end on a dead connection is left behind.
      await Promise.race([client.close(), pause(closeTimeoutMs, closed.signal)])
      closed.abort()
    },
  }
}
