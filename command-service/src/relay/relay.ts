import { toCloudEvent } from '@annals/contracts'
import { backoffMs, pause } from '@annals/platform/backoff'
import type { EventLog, LogEvent } from '@annals/platform/event-log'
import { Fenced, TopicMismatch, type CheckpointedPublisher, type Topics } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { batchLimits, EventQueue, type Batch, type BatchLimits, type QueuedEvent } from './event-queue'
import type { RelayMetrics, Role } from './relay-metrics'
import { RelayRefusal, resumePosition } from './resume'
import type { Route } from './route'
import { longerPatienceMs, patience, standBy } from './standby'

export interface RelayOptions {
  route: Route
  eventLog: EventLog
  publisher: CheckpointedPublisher
  topics: Pick<Topics, 'offsets'>
  /** Makes the topics that are missing. Before every lead rather than once at the start: Kafka may come up after the relay. */
  prepare?: () => Promise<void>
  log: Logger
  metrics?: RelayMetrics
  /** Ends the relay after the batch in hand. */
  signal: AbortSignal
  /** Publish what the log holds now, then end. Default: go on with what comes. */
  untilCaughtUp?: boolean
  /** Only for a checkpoint that was lost: where the operator says that publishing stopped. */
  resumeAfter?: bigint | undefined
  limits?: BatchLimits
  /** How long the checkpoint may stand still before a standby takes over, while all goes well. Default 2,500 ms. */
  patienceMs?: number
}

export interface Relay {
  /**
   * Resolves when the relay has ended: by the signal, or caught up.
   * @throws RelayRefusal; TopicMismatch
   */
  ended: Promise<void>
  role(): Role
  /** Throws until a transaction has worked, and while one after the other fails. */
  ready(): Promise<void>
}

/** After a failed transaction; a broker that restarts is away for some seconds. */
const retryBackoff = { firstMs: 100, maxMs: 5_000 }
/**
 * An idle relay commits its position again after this time: brokers forget offsets that nobody has committed for
 * `offsets.retention.minutes`, 7 days by default.
 */
const refreshEveryMs = 60 * 60 * 1_000
/**
 * Transactions begin at least this far apart, unless a full one is waiting. An event that comes alone is published at once;
 * events that come faster share a transaction, which saves the broker and all that read from it most of their work.
 */
const transactionEveryMs = 25

function toQueued(event: LogEvent, route: Route): QueuedEvent | undefined {
  const place = route.place(event.stream)
  if (!place) return undefined
  const { key, value, headers, timestamp } = toCloudEvent(event)
  const record = { topic: place.topic, partition: place.partition, key, value, headers, timestamp }
  // Near enough for a bound: what is not counted are the small headers.
  return { record, position: event.position, bytes: (value?.length ?? 0) + (headers['ce_metadata']?.length ?? 0) + 500 }
}

function countByTopic({ records }: Batch): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { topic } of records) counts.set(topic, (counts.get(topic) ?? 0) + 1)
  return counts
}

/**
 * Copies what the log holds of the route's streams to Kafka: every event once, in log order, so in order per stream. Events
 * and position are one transaction; a second relay under the same name fences this one, which then stands by.
 */
export function runRelay(options: RelayOptions): Relay {
  const { route, eventLog, publisher, topics, log, metrics, signal, limits = batchLimits } = options
  let role: Role = 'starting'
  let working = false
  let queue: EventQueue | undefined
  /** In the present lead. */
  let publishedAny = false

  function become(next: Role): void {
    if (role !== next) log.info({ role: next }, `relay is ${next}`)
    role = next
    metrics?.role(next)
  }

  // Nothing is in hand while the cluster is still being asked for the transactional id: do not wait for its answer.
  signal.addEventListener('abort', () => role === 'starting' && void publisher.close())

  metrics?.role(role)
  metrics?.head(() => eventLog.head())
  metrics?.lag(() => {
    const oldest = queue?.oldest
    return oldest ? Math.max(0, Date.now() - Number(oldest.record.timestamp)) / 1_000 : 0
  })

  async function read(into: EventQueue, after: bigint, reading: AbortSignal): Promise<void> {
    const from = { after: after < 0n ? undefined : after, prefixes: route.prefixes }
    const events = options.untilCaughtUp ? eventLog.readAll(from) : eventLog.subscribe({ ...from, signal: reading })
    for await (const event of events) {
      if (reading.aborted) return
      const queued = toQueued(event, route)
      if (queued) await into.put(queued)
    }
  }

  async function publishFrom(source: EventQueue, after: bigint): Promise<void> {
    let position = after
    for (;;) {
      const batch = await source.take(refreshEveryMs)
      if (batch === undefined) return
      const started = performance.now()
      if (batch === 'idle') await publisher.publish([], position)
      else {
        await publisher.publish(batch.records, batch.position)
        position = batch.position
        publishedAny = true
        metrics?.published(countByTopic(batch), batch.records.length, (performance.now() - started) / 1_000)
        metrics?.position(position)
        const restMs = transactionEveryMs - (performance.now() - started)
        if (restMs > 0 && source.length < limits.eventsMax) await pause(restMs, signal)
      }
    }
  }

  /** As the active relay: from the checkpoint on, until the end, a fault, or another relay. */
  async function lead(): Promise<void> {
    publishedAny = false
    await options.prepare?.()
    const checkpoint = await publisher.takeOver()
    const after = await resumePosition(checkpoint, route, topics, options.resumeAfter)
    // Proves that transactions work here, before this instance calls itself ready.
    await publisher.publish([], after)
    become('leader')
    working = true
    metrics?.position(after)
    log.info({ after: String(after), route: route.name }, 'publishing')

    const source = new EventQueue(limits)
    queue = source
    const reading = new AbortController()
    const stop = () => reading.abort()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    reading.signal.addEventListener('abort', () => source.end())
    // A reader that fails ends the queue; what it had read is published first, then its error is told.
    const feeding = read(source, after, reading.signal).finally(() => source.end())
    feeding.catch(() => undefined)
    try {
      await publishFrom(source, after)
      await feeding
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
      queue = undefined
    }
  }

  async function run(): Promise<void> {
    let failures = 0
    const patienceMsMin = options.patienceMs ?? patience.firstMs
    let patienceMs = patienceMsMin
    let afterStall = false
    while (!signal.aborted) {
      const began = Date.now()
      try {
        await lead()
        if (options.untilCaughtUp || signal.aborted) return
      } catch (error) {
        if (error instanceof RelayRefusal || error instanceof TopicMismatch) throw error
        if (error instanceof Fenced) {
          metrics?.fenced()
          working = true
          become('standby')
          // There was something to publish, and it did not get as far: neither did the other one, it may be the cluster.
          if (publishedAny) patienceMs = patienceMsMin
          else if (afterStall) patienceMs = longerPatienceMs(patienceMs)
          patienceMs = await standBy({ ...options, prefixes: route.prefixes, patienceMs, patienceMsMin })
          afterStall = true
          continue
        }
        working = false
        metrics?.failed()
        become('starting')
        // A fault after a while of work is a new fault.
        failures = Date.now() - began > retryBackoff.maxMs ? 1 : failures + 1
        const waitMs = backoffMs(retryBackoff, failures, Math.random())
        log.warn({ err: error, waitMs }, 'publishing failed, taking over anew from the checkpoint')
        await pause(waitMs, signal)
      }
    }
  }

  return {
    ended: run().finally(() => publisher.close()),
    role: () => role,
    ready: async () => {
      if (!working) throw new Error(`relay is ${role}`)
    },
  }
}
