import {
  EventStoreDBClient,
  excludeSystemEvents,
  jsonEvent,
  NO_STREAM,
  START,
  streamNameFilter,
  type AppendExpectedRevision,
  type JSONEventType,
  type ResolvedEvent,
  type StreamingRead,
} from '@eventstore/db-client'
import type { Logger } from 'pino'
import { backoffMs, pause } from '../backoff'
import { appendErrorKind, errorCode, UnknownAppendOutcome } from './errors'
import { tolerateLostWrites } from './lost-writes'

/** An event as the log holds it. Nothing about data and metadata has been checked. */
export interface LogEvent {
  id: string
  type: string
  stream: string
  /** Number in its stream, from 0. */
  revision: number
  /** Commit position; grows over the whole log. */
  position: bigint
  data: unknown
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

export interface LogSubscription {
  /** Only events after this position; `undefined`: from the beginning. */
  after: bigint | undefined
  /** Stream-name prefixes; without them every event but the system's own. */
  prefixes?: readonly string[]
  /** Ends the subscription, without an error. */
  signal: AbortSignal
}

export interface EventLog {
  /**
   * Events of a stream from a revision on, in order; `[]` when there is no such stream.
   * @param countMax so many at most; default: all there are.
   */
  readStream(stream: string, fromRevision?: number, countMax?: number): Promise<LogEvent[]>
  /**
   * Appends all events or none. An answer that is lost is asked for again with the same ids, which the server recognises.
   * @param expectedRevision revision of the last event that was read; -1: the stream must not exist.
   * @throws the client's WrongExpectedVersionError; UnknownAppendOutcome when no attempt was answered.
   */
  append(stream: string, events: readonly NewLogEvent[], expectedRevision: number): Promise<Appended>
  /** Reads what the log holds now, in log order, then ends. */
  readAll(options: Omit<LogSubscription, 'signal'>): AsyncIterable<LogEvent>
  /** Reads on for ever: what there is, then what comes. Resumes by itself after a fault, from the last event handed out. */
  subscribe(options: LogSubscription): AsyncIterable<LogEvent>
  /** Position of the newest event in the log, or `undefined` when it is empty. */
  head(): Promise<bigint | undefined>
  close(): Promise<void>
}

/** How long one append may take before its outcome counts as unknown; the client itself does not end it when the server is frozen. */
const appendTimeoutMs = 5_000
/** Attempts of one append; with the timeout, a caller waits 15 s at most. */
const appendAttemptsMax = 3
/** How long a stream, or the end of the log, may take to read; an aggregate's stream is a few events. */
const readTimeoutMs = 5_000
const closeTimeoutMs = 2_000
const appendBackoff = { firstMs: 50, maxMs: 500 }
const subscriptionBackoff = { firstMs: 100, maxMs: 5_000 }

const toLogEvent = ({ event, commitPosition }: ResolvedEvent): LogEvent | undefined => {
  if (!event) return undefined
  const position = event.position?.commit ?? commitPosition
  return {
    id: event.id,
    type: event.type,
    stream: event.streamId,
    revision: Number(event.revision),
    position: position ?? -1n,
    data: event.data,
    metadata: event.metadata,
  }
}

async function withTimeout<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UnknownAppendOutcome(`no answer within ${ms} ms`)), ms)
  })
  // The append that lost the race may still fail: that must not become an unhandled rejection.
  work.catch(() => undefined)
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}

/** A short read to its end. The client gives reads no deadline of its own: a frozen server would hold them for ever. */
async function* answered<T>(read: StreamingRead<T>): AsyncGenerator<T> {
  const timer = setTimeout(() => {
    read.destroy(new Error(`no answer within ${readTimeoutMs} ms`))
    void read.cancel()
  }, readTimeoutMs)
  try {
    yield* read
  } finally {
    clearTimeout(timer)
  }
}

/** Opens the log through the official client. `url`: an `esdb://` connection string. */
export function createEventLog(url: string, log: Logger): EventLog {
  const client = EventStoreDBClient.connectionString(url)
  tolerateLostWrites(log)
  const filterOf = (prefixes: readonly string[] | undefined) =>
    prefixes ? streamNameFilter({ prefixes: [...prefixes] }) : excludeSystemEvents()
  const fromOf = (after: bigint | undefined) => (after === undefined ? START : { commit: after, prepare: after })

  async function* readStreamEvents(stream: string, fromRevision: number, countMax: number | undefined) {
    const events = client.readStream(stream, {
      fromRevision: fromRevision === 0 ? START : BigInt(fromRevision),
      ...(countMax === undefined ? {} : { maxCount: countMax }),
    })
    for await (const resolved of answered(events)) {
      const event = toLogEvent(resolved)
      if (event) yield event
    }
  }

  async function* readAll({ after, prefixes }: Omit<LogSubscription, 'signal'>) {
    // The client filters subscriptions only; a read is filtered here.
    const wanted = prefixes
      ? (stream: string) => prefixes.some((prefix) => stream.startsWith(prefix))
      : (stream: string) => !stream.startsWith('$')
    const events = client.readAll({ fromPosition: fromOf(after) })
    try {
      for await (const resolved of events) {
        const event = toLogEvent(resolved)
        // A read from a position includes the event at it.
        if (event && (after === undefined || event.position > after) && wanted(event.stream)) yield event
      }
    } finally {
      // Whoever stops reading early leaves a call behind that would never end by itself.
      await events.cancel()
    }
  }

  async function* subscribeOnce(after: bigint | undefined, options: LogSubscription) {
    const subscription = client.subscribeToAll({ fromPosition: fromOf(after), filter: filterOf(options.prefixes) })
    const stop = () => void subscription.unsubscribe().catch(() => undefined)
    options.signal.addEventListener('abort', stop)
    try {
      for await (const resolved of subscription) {
        const event = toLogEvent(resolved)
        if (event && (after === undefined || event.position > after)) yield event
      }
    } finally {
      options.signal.removeEventListener('abort', stop)
      await subscription.unsubscribe().catch(() => undefined)
    }
  }

  return {
    async readStream(stream, fromRevision = 0, countMax) {
      const events: LogEvent[] = []
      try {
        for await (const event of readStreamEvents(stream, fromRevision, countMax)) events.push(event)
      } catch (error) {
        if (errorCode(error) === 'stream-not-found') return []
        throw error
      }
      return events
    },

    async append(stream, events, expectedRevision) {
      const expected: AppendExpectedRevision = expectedRevision < 0 ? NO_STREAM : BigInt(expectedRevision)
      const written = events.map((event) => jsonEvent(event as unknown as JSONEventType & { id: string }))
      for (let attempt = 1; ; attempt++) {
        try {
          const append = client.appendToStream(stream, written, { expectedRevision: expected })
          const result = await withTimeout(append, appendTimeoutMs)
          return { revision: Number(result.nextExpectedRevision), position: result.position?.commit ?? -1n }
        } catch (error) {
          if (appendErrorKind(error) !== 'unknown') throw error
          if (attempt >= appendAttemptsMax)
            throw new UnknownAppendOutcome(`append to ${stream} was not answered`, { cause: error })
          log.warn({ err: error, stream, attempt }, 'append not answered, asking again with the same ids')
          await pause(backoffMs(appendBackoff, attempt, Math.random()))
        }
      }
    },

    readAll,

    async *subscribe(options) {
      let { after } = options
      for (let attempt = 1; !options.signal.aborted; attempt++) {
        try {
          for await (const event of subscribeOnce(after, options)) {
            yield event
            after = event.position
            attempt = 0
          }
        } catch (error) {
          if (options.signal.aborted) return
          log.warn({ err: error, after: String(after) }, 'subscription to the log ended, resuming')
        }
        await pause(backoffMs(subscriptionBackoff, attempt, Math.random()), options.signal)
      }
    },

    async head() {
      const newest = { direction: 'backwards', fromPosition: 'end', maxCount: 1 } as const
      let position: bigint | undefined
      // To its end, although one event is all there is: a read that is left early never ends.
      for await (const resolved of answered(client.readAll(newest))) position = toLogEvent(resolved)?.position
      return position
    },

    async close() {
      const closed = new AbortController()
      // The client waits for every call to end; one that does not end on a dead connection is left behind.
      await Promise.race([client.dispose(), pause(closeTimeoutMs, closed.signal)])
      closed.abort()
    },
  }
}
