import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs'
import type { Registry } from 'prom-client'
import { backoffMs, pause } from '../backoff'
import { counter, gauge, Gauge, type Counter } from '../metrics'
import { createKafka, repeatedEveryMs, type KafkaOptions } from './client'
import type { BatchOutcome, IncomingBatch, IncomingRecord, PartitionedConsumer, TopicPartition } from './ports'
import { createRepetitionLimit } from './repeated-lines'
import { createTopics, type PartitionOffsets } from './topics'

export interface ConsumerOptions extends KafkaOptions {
  groupId: string
  topics: readonly string[]
  /** The consumer has ended by itself and will not come back: the process has to end, or it would live on deaf. */
  onFatal: (error: Error) => void
  metrics?: Registry
  /** Partitions handled at the same time, at most. Default 6: all partitions of one topic. */
  concurrency?: number
  /**
   * A killed instance's partitions are taken over after this time, in ms. Default 6,000: the least that brokers allow
   * unless told otherwise; two owners for a moment do no harm, since positions live with the effects.
   */
  sessionTimeoutMs?: number
  /** Records of one partition handed over at once are bounded by bytes. Default 1 MiB, Kafka's own. */
  batchBytesMax?: number
}

/** A fetch that finds nothing returns after this time, so a partition that may go on again waits no longer than it. */
const fetchWaitMs = 250
/**
 * Between attempts at what may come back by itself: a handler that throws, positions that can not be read. A database that
 * restarts is away for seconds; readers of their own writes wait for the rest of this besides.
 */
const retryBackoff = { firstMs: 500, maxMs: 5_000 }
/** A position outside of the partition needs an operator; asked again in case one has acted. */
const outOfRangeRetryMs = 30_000
/** Between looks for topics that are not there yet. */
const topicsRetryMs = 1_000
/** Brokers that have not answered for so long are away; the alarm on `kafka_consumer_silent_seconds` has the same bound. */
const silentMsMax = 60_000
/** A broker that is gone must not hold up the end of the process. */
const stopMsMax = 10_000

type Handler = Parameters<PartitionedConsumer['run']>[0]

/** One partition that this instance holds, for as long as the group's generation lasts. */
interface Flow extends TopicPartition {
  /** Kafka's id of the topic when the partition was placed; `''`: not placed yet. */
  topicId: string
  waiting: string | undefined
  /** Attempts in a row that came to nothing. */
  failures: number
  timer: NodeJS.Timeout | undefined
  /** Epoch ms: time of the oldest record known here that is not handled yet; `undefined`: none is known. */
  behindSince: number | undefined
}

/**
 * What kafkajs calls final, and is not: a cluster that starts, or whose nodes are frozen, has no coordinator for a while, and locks
 * within the library are waited for in vain.
 */
const notFinal = new Set(['KafkaJSGroupCoordinatorNotFound', 'KafkaJSLockTimeout', 'KafkaJSTimeout'])
/** Before the group is joined anew after such an end. */
const rejoinAfterMs = 1_000

const comesBack = (error: Error & { cause?: unknown }): boolean =>
  notFinal.has(error.name) || (error.cause instanceof Error && error.cause !== error && comesBack(error.cause))

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

const toRecord = ({ offset, key, value, headers = {}, timestamp }: KafkaMessage): IncomingRecord => ({
  offset: BigInt(offset),
  key: key === null ? null : key.toString(),
  value,
  headers: headers as Record<string, Buffer | undefined>,
  timestamp: Number(timestamp),
})

/** What the position means on a partition that holds [low, high); a reason when it means nothing there. */
export function startOffset(position: bigint | undefined, range: Omit<PartitionOffsets, 'partition'>): bigint | string {
  if (position === undefined) return range.low
  if (position < range.low)
    return `reading should go on at offset ${position}, but the topic now begins at ${range.low}: records are missing`
  if (position > range.high)
    return `reading should go on at offset ${position}, but the topic ends at ${range.high}: it is not the topic it was`
  return position
}

type AskedGauge = Gauge & { asks: ((gauge: Gauge) => void)[] }

function consumerMetrics(registry: Registry, groupId: string) {
  // Two consumers of one process share the metrics; the group tells them apart.
  const records =
    (registry.getSingleMetric('kafka_consumer_records_total') as Counter | undefined) ??
    counter(registry, 'kafka_consumer_records_total', 'Records handled', ['group', 'topic'])
  const lag =
    (registry.getSingleMetric('kafka_consumer_lag_records') as Gauge | undefined) ??
    gauge(registry, 'kafka_consumer_lag_records', 'Records not yet handled', ['group', 'topic', 'partition'])
  const waiting =
    (registry.getSingleMetric('kafka_consumer_partition_waiting') as Gauge | undefined) ??
    gauge(registry, 'kafka_consumer_partition_waiting', '1 while a partition waits', ['group', 'topic', 'partition'])
  /** A gauge whose value is asked for at each scrape, of every consumer of the process. */
  const asked = (name: string, help: string, labelNames: string[]) => {
    const known = registry.getSingleMetric(name) as AskedGauge | undefined
    if (known) return known
    const made: AskedGauge = Object.assign(
      new Gauge({
        registers: [registry],
        name,
        help,
        labelNames,
        collect() {
          this.reset()
          for (const ask of made.asks) ask(this)
        },
      }),
      { asks: [] },
    )
    return made
  }
  const age = asked('kafka_consumer_lag_seconds', 'Age of the oldest record that is known and not handled; 0: none', [
    'group',
    'topic',
    'partition',
  ])
  const silent = asked('kafka_consumer_silent_seconds', 'Time since the brokers last answered this group', ['group'])
  const secondsSince = (epochMs: number) => Math.max(0, Date.now() - epochMs) / 1_000
  return {
    /** @param flowsNow what this consumer holds. @param heardAt epoch ms of the brokers' last answer. */
    ask(flowsNow: () => Iterable<Flow>, heardAt: () => number): void {
      age.asks.push((it) => {
        for (const { topic, partition, behindSince } of flowsNow())
          it.set({ group: groupId, topic, partition }, behindSince === undefined ? 0 : secondsSince(behindSince))
      })
      silent.asks.push((it) => it.set({ group: groupId }, secondsSince(heardAt())))
    },
    handled: (topic: string, count: number) => records.inc({ group: groupId, topic }, count),
    lag: ({ topic, partition }: TopicPartition, count: number) => lag.set({ group: groupId, topic, partition }, count),
    waiting: ({ topic, partition }: TopicPartition, on: boolean) =>
      waiting.set({ group: groupId, topic, partition }, on ? 1 : 0),
    lost: ({ topic, partition }: TopicPartition) => {
      lag.remove({ group: groupId, topic, partition: String(partition) })
      waiting.remove({ group: groupId, topic, partition: String(partition) })
    },
  }
}

/** Reads topics as a member of a group, from positions that the handler keeps; only committed transactions are seen. */
export function createConsumer(options: ConsumerOptions): PartitionedConsumer {
  const { groupId, topics, log: rootLog, onFatal, metrics, concurrency = 6, sessionTimeoutMs = 6_000 } = options
  const log = rootLog.child({ group: groupId })
  const heartbeatMs = Math.floor(sessionTimeoutMs / 4)
  const consumer: Consumer = createKafka({ ...options, log }, 2).consumer({
    groupId,
    sessionTimeout: sessionTimeoutMs,
    // An instance that works on a batch for longer loses its partitions to the others.
    rebalanceTimeout: 30_000,
    heartbeatInterval: heartbeatMs,
    maxWaitTimeInMs: fetchWaitMs,
    maxBytesPerPartition: options.batchBytesMax ?? 1024 * 1024,
    allowAutoTopicCreation: false,
    readUncommitted: false,
    // Few attempts, then a crash with a restart: that finds the coordinator anew, which the attempts do not.
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000 },
  })
  const admin = createTopics({ ...options, log })
  const meter = metrics && consumerMetrics(metrics, groupId)
  const ending = new AbortController()
  let flows = new Map<string, Flow>()
  let connected = false
  let stopping: Promise<void> | undefined
  let heardAt = Date.now()
  let hasJoined = false
  meter?.ask(
    () => flows.values(),
    () => heardAt,
  )

  const isCurrent = (flow: Flow) => !ending.signal.aborted && flows.get(keyOf(flow)) === flow

  function hold(flow: Flow, reason: string): void {
    flow.waiting = reason
    meter?.waiting(flow, true)
    consumer.pause([{ topic: flow.topic, partitions: [flow.partition] }])
  }

  function flowFrom(flow: Flow, offset: bigint): void {
    // Between a crash and its restart there is nothing to move; the join that follows places every partition anew.
    try {
      consumer.seek({ topic: flow.topic, partition: flow.partition, offset: String(offset) })
      consumer.resume([{ topic: flow.topic, partitions: [flow.partition] }])
    } catch (error) {
      log.debug({ err: error }, 'the group was left meanwhile')
      return
    }
    flow.waiting = undefined
    meter?.waiting(flow, false)
  }

  function later(flow: Flow, ms: number, work: () => void): void {
    clearTimeout(flow.timer)
    flow.timer = setTimeout(() => {
      flow.timer = undefined
      if (isCurrent(flow)) work()
    }, ms)
  }

  async function rangesOf(placed: readonly Flow[]): Promise<Map<string, PartitionOffsets>> {
    const ranges = new Map<string, PartitionOffsets>()
    for (const topic of new Set(placed.map((flow) => flow.topic)))
      for (const range of (await admin.offsets(topic)) ?? []) ranges.set(`${topic}/${range.partition}`, range)
    return ranges
  }

  /** Finds where partitions go on, and lets them. They are paused before, and stay so until it is known. */
  async function place(handler: Handler, placed: readonly Flow[]): Promise<void> {
    if (placed.length === 0) return
    try {
      const positions = await handler.positions(placed.map(({ topic, partition }) => ({ topic, partition })))
      const ids = await admin.ids([...new Set(placed.map(({ topic }) => topic))])
      const ranges = await rangesOf(placed)
      for (const [i, flow] of placed.entries()) {
        if (!isCurrent(flow)) continue
        const range = ranges.get(keyOf(flow))
        const start = range ? startOffset(positions[i]?.nextOffset, range) : 'the partition is not there'
        if (typeof start === 'bigint') {
          flow.topicId = ids.get(flow.topic) ?? ''
          flowFrom(flow, start)
          continue
        }
        log.error({ topic: flow.topic, partition: flow.partition }, `partition stands still: ${start}`)
        flow.waiting = start
        later(flow, outOfRangeRetryMs, () => void place(handler, [flow]))
      }
    } catch (error) {
      for (const flow of placed) {
        if (!isCurrent(flow)) continue
        const waitMs = backoffMs(retryBackoff, ++flow.failures, Math.random())
        later(flow, waitMs, () => void place(handler, [flow]))
      }
      log.warn({ err: error }, 'positions could not be read, trying again')
    }
  }

  function onJoin(handler: Handler, assignment: Record<string, number[]>): void {
    for (const flow of flows.values()) {
      clearTimeout(flow.timer)
      meter?.lost(flow)
    }
    const held = Object.entries(assignment).flatMap(([topic, partitions]) =>
      partitions.map((partition): Flow => ({
        topic,
        partition,
        topicId: '',
        waiting: undefined,
        failures: 0,
        timer: undefined,
        behindSince: undefined,
      })),
    )
    flows = new Map(held.map((flow) => [keyOf(flow), flow]))
    // Nothing may be fetched before this returns: kafkajs would begin at an offset of its own.
    for (const flow of held) hold(flow, 'position is being read')
    log.info({ assignment }, 'joined the group')
    void place(handler, held)
  }

  /** The handler's word on a batch; what it throws counts as "not yet". Keeps the membership alive meanwhile. */
  async function outcomeOf(handler: Handler, batch: IncomingBatch, flow: Flow, heartbeat: () => Promise<void>) {
    // A rebalance is noticed by kafkajs itself after the batch; here its error only says that one is under way.
    const beat = setInterval(() => void heartbeat().catch(() => undefined), heartbeatMs)
    try {
      return await handler.handle(batch)
    } catch (error) {
      const { topic, partition } = flow
      const waitMs = backoffMs(retryBackoff, flow.failures + 1, Math.random())
      log.error({ err: error, topic, partition, offset: String(batch.records[0]!.offset), waitMs }, 'batch failed')
      return { kind: 'wait', waitMs, reason: String(error) } satisfies BatchOutcome
    } finally {
      clearInterval(beat)
    }
  }

  async function testify({ topic, partition }: Flow, nextOffset: bigint, metadata: string): Promise<void> {
    try {
      await consumer.commitOffsets([{ topic, partition, offset: String(nextOffset), metadata }])
    } catch (error) {
      log.warn({ err: error, topic, partition }, 'how far reading has come could not be committed to Kafka')
    }
  }

  async function eachBatch(handler: Handler, payload: EachBatchPayload): Promise<void> {
    const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload
    const flow = flows.get(keyOf(batch))
    if (!flow || flow.waiting !== undefined || !isRunning() || isStale()) return
    const records = batch.messages.map(toRecord)
    const { topic, partition } = batch
    flow.behindSince = records[0]?.timestamp
    const lastOffset = batch.lastOffset()
    const nextOffset = BigInt(lastOffset) + 1n
    const incoming = {
      topic,
      partition,
      topicId: flow.topicId,
      records,
      nextOffset,
      highWatermark: BigInt(batch.highWatermark),
    }
    const outcome = await outcomeOf(handler, incoming, flow, heartbeat)
    // After a rebalance the partition is another's, or was placed anew: this outcome says nothing about it.
    if (!isCurrent(flow)) return
    switch (outcome.kind) {
      case 'done':
        flow.failures = 0
        // What follows is no older than the last of these.
        flow.behindSince = incoming.highWatermark > nextOffset ? records.at(-1)?.timestamp : undefined
        meter?.handled(topic, records.length)
        if (outcome.commit !== undefined) await testify(flow, nextOffset, outcome.commit)
        return resolveOffset(lastOffset)
      case 'wait': {
        flow.failures++
        hold(flow, outcome.reason)
        return later(flow, outcome.waitMs, () => flowFrom(flow, outcome.resumeAt ?? records[0]!.offset))
      }
      case 'reposition': {
        hold(flow, 'position is being read')
        // The first time at once; a handler that is never content must not spin.
        const waitMs = flow.failures === 0 ? 0 : backoffMs(retryBackoff, flow.failures, Math.random())
        flow.failures++
        return later(flow, waitMs, () => void place(handler, [flow]))
      }
    }
  }

  /** Connects and subscribes as soon as there is a cluster with these topics. */
  async function subscribe(): Promise<void> {
    for (let said = false; !ending.signal.aborted;) {
      try {
        await consumer.connect()
        connected = true
        return await consumer.subscribe({ topics: [...topics], fromBeginning: true })
      } catch (error) {
        if (!said) log.warn({ err: error, topics }, 'Kafka or its topics are not there yet, waiting for them')
        said = true
        await pause(topicsRetryMs, ending.signal)
      }
    }
  }

  async function end(): Promise<void> {
    ending.abort()
    for (const flow of flows.values()) clearTimeout(flow.timer)
    if (!connected) return
    const late = new AbortController()
    await Promise.race([
      consumer.disconnect().catch((error: unknown) => log.warn({ err: error }, 'could not leave the group in order')),
      pause(stopMsMax, late.signal),
    ])
    late.abort()
    flows.clear()
  }

  return {
    async run(handler) {
      const { GROUP_JOIN, CRASH, END_BATCH_PROCESS, FETCH, HEARTBEAT } = consumer.events
      // Fetches end four times a second; while every partition waits, or none is held, there are heartbeats.
      for (const answer of [FETCH, HEARTBEAT] as const) consumer.on(answer, () => void (heardAt = Date.now()))
      const crashes = createRepetitionLimit(repeatedEveryMs)
      const start = async () => {
        if (ending.signal.aborted) return
        await consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: concurrency,
          eachBatch: (payload) => eachBatch(handler, payload),
        })
      }
      const joined = new Promise<void>((resolve, reject) => {
        const fatal = (error: Error) => {
          log.fatal({ err: error }, 'consumer ended for good')
          reject(error)
          onFatal(error)
        }
        consumer.on(GROUP_JOIN, ({ payload }) => {
          onJoin(handler, payload.memberAssignment)
          hasJoined = true
          heardAt = Date.now()
          resolve()
        })
        consumer.on(CRASH, ({ payload }) => {
          if (payload.restart) {
            const keptBack = crashes(payload.error.message)
            if (keptBack !== undefined)
              log.warn({ err: payload.error, keptBack }, 'consumer fell out of the group, joining again')
            return
          }
          if (comesBack(payload.error)) {
            log.warn({ err: payload.error, waitMs: rejoinAfterMs }, 'nobody coordinates the group, joining again')
            return void pause(rejoinAfterMs, ending.signal).then(start).catch(fatal)
          }
          fatal(payload.error)
        })
        ending.signal.addEventListener('abort', () => resolve())
      })
      joined.catch(() => undefined)
      // Also told of batches that hold nothing but markers, which the handler never sees.
      consumer.on(END_BATCH_PROCESS, ({ payload }) => {
        const { topic, partition, highWatermark, lastOffset } = payload
        const flow = flows.get(keyOf(payload))
        if (!flow || flow.waiting !== undefined) return
        handler.passed?.({ topic, partition }, BigInt(lastOffset) + 1n)
        // Markers alone may have followed what was handled.
        if (BigInt(lastOffset) + 1n >= BigInt(highWatermark)) flow.behindSince = undefined
        meter?.lag({ topic, partition }, Number(BigInt(highWatermark) - BigInt(lastOffset) - 1n))
      })
      await subscribe()
      await start()
      await joined
    },

    async check() {
      if (!hasJoined) throw new Error(`the group ${groupId} has not been joined yet`)
      const silentMs = Date.now() - heardAt
      if (silentMs > silentMsMax) throw new Error(`no broker has answered the group ${groupId} for ${silentMs} ms`)
    },

    assigned: () =>
      [...flows.values()].map(({ topic, partition, waiting }) => ({
        topic,
        partition,
        ...(waiting === undefined ? {} : { waiting }),
      })),

    stop: () => (stopping ??= end()),
  }
}
