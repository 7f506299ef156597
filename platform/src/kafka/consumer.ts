import type { Consumer } from 'kafkajs'
import type { Registry } from '../metrics'
import { pause } from '../backoff'
import { createBatches, type PassedBatch } from './batches'
import { createKafka, repeatedEveryMs, type KafkaOptions } from './client'
import { consumerMetrics } from './consumer-metrics'
import { onOutOfRange } from './fetch-faults'
import { createFlows, keyOf, type Flow } from './flows'
import { createPlacing } from './placing'
import type { PartitionedConsumer, PartitionHandler } from './ports'
import { createRepetitionLimit } from './repeated-lines'
import { createTopics } from './topics'

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
  /**
   * A handler that works on a batch for longer, in ms, hangs: the membership is given up, and whoever holds the partition then
   * begins where its effects stand. Default 60,000: several times what a batch takes whose healing reads the log.
   * `Infinity`: for handlers that are meant to wait.
   */
  handleMsMax?: number
  /** Between looks whether the topics, and the handler's positions, are still those that were there, in ms. Default 30,000. */
  recheckMs?: number
}

/** A fetch that finds nothing returns after this time, so a partition that may go on again waits no longer than it. */
const fetchWaitMs = 250
/** Between looks for topics that are not there yet. */
const topicsRetryMs = 1_000
/** Brokers that have not answered for so long are away; the alarm on `annals_consumer_silent_seconds` has the same bound. */
const silentMsMax = 60_000
/** A partition that has got nowhere for so long will not by itself. */
const stuckMsMax = 60_000
/** A broker that is gone must not hold up the end of the process. */
const stopMsMax = 10_000

/**
 * What kafkajs calls final, and is not: a cluster that starts, or whose nodes are frozen, has no coordinator for a while; locks
 * within the library are waited for in vain; and the membership was given up over a batch that took too long.
 */
const notFinal = new Set(['KafkaJSGroupCoordinatorNotFound', 'KafkaJSLockTimeout', 'KafkaJSTimeout', 'Overdue'])
/** Before the group is joined anew after such an end. */
const rejoinAfterMs = 1_000

const comesBack = (error: Error & { cause?: unknown }): boolean =>
  notFinal.has(error.name) || (error.cause instanceof Error && error.cause !== error && comesBack(error.cause))

function kafkaConsumer(options: ConsumerOptions, heartbeatMs: number, sessionTimeoutMs: number): Consumer {
  return createKafka(options, 2).consumer({
    groupId: options.groupId,
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
}

/** Reads topics as a member of a group, from places that the handler keeps; only committed transactions are seen. */
export function createConsumer(options: ConsumerOptions): PartitionedConsumer {
  const { groupId, topics: names, onFatal, metrics, concurrency = 6, sessionTimeoutMs = 6_000 } = options
  const { handleMsMax = 60_000, recheckMs = 30_000 } = options
  const log = options.log.child({ group: groupId })
  const heartbeatMs = Math.floor(sessionTimeoutMs / 4)
  const consumer = kafkaConsumer({ ...options, log }, heartbeatMs, sessionTimeoutMs)
  const topics = createTopics({ ...options, log })
  const meter = metrics && consumerMetrics(metrics, groupId, names)
  const ending = new AbortController()
  const flows = createFlows(consumer, { log, meter, signal: ending.signal })
  let connected = false
  let stopping: Promise<void> | undefined
  let heardAt = Date.now()
  let hasJoined = false
  meter?.ask(flows.all, () => heardAt)

  /** Connects and subscribes as soon as there is a cluster with these topics. */
  async function subscribe(): Promise<void> {
    for (let said = false; !ending.signal.aborted;) {
      try {
        await consumer.connect()
        connected = true
        return await consumer.subscribe({ topics: [...names], fromBeginning: true })
      } catch (error) {
        if (!said) log.warn({ err: error, topics: names }, 'Kafka or its topics are not there yet, waiting for them')
        said = true
        await pause(topicsRetryMs, ending.signal)
      }
    }
  }

  /** Joins the group and reads, and joins again whenever it fell out. @returns when it has joined once. */
  async function consume(
    { each, passed }: ReturnType<typeof createBatches>,
    onJoin: (assignment: Record<string, number[]>) => void,
  ) {
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
        eachBatch: each,
      })
    }
    const joined = new Promise<void>((resolve, reject) => {
      const fatal = (error: Error) => {
        log.fatal({ err: error }, 'consumer ended for good')
        reject(error)
        onFatal(error)
      }
      consumer.on(GROUP_JOIN, ({ payload }) => {
        onJoin(payload.memberAssignment)
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
          log.warn({ err: payload.error, waitMs: rejoinAfterMs }, 'the membership has ended, joining again')
          return void pause(rejoinAfterMs, ending.signal).then(start).catch(fatal)
        }
        fatal(payload.error)
      })
      ending.signal.addEventListener('abort', () => resolve())
    })
    joined.catch(() => undefined)
    consumer.on(END_BATCH_PROCESS, ({ payload }) => passed(payload as PassedBatch))
    await subscribe()
    await start()
    await joined
  }

  /** Looks from time to time whether topics, and the handler's positions, are still those that were placed. */
  async function watchTopics(recheck: () => Promise<void>): Promise<void> {
    while (!ending.signal.aborted) {
      await pause(recheckMs * (0.8 + 0.2 * Math.random()), ending.signal)
      if (ending.signal.aborted) return
      await recheck().catch((error: unknown) => log.debug({ err: error }, 'places could not be looked at again'))
    }
  }

  async function end(): Promise<void> {
    ending.abort()
    if (connected) {
      const late = new AbortController()
      await Promise.race([
        consumer.disconnect().catch((error: unknown) => log.warn({ err: error }, 'could not leave the group in order')),
        pause(stopMsMax, late.signal),
      ])
      late.abort()
    }
    flows.end()
  }

  return {
    async run(handler: PartitionHandler) {
      const placing = createPlacing(handler, { flows, topics, log, meter })
      const testify = (flow: Flow, nextOffset: bigint, metadata: string) =>
        consumer.commitOffsets([{ topic: flow.topic, partition: flow.partition, offset: String(nextOffset), metadata }])
      const batches = createBatches(handler, { flows, placing, log, meter, heartbeatMs, handleMsMax, testify })
      const forget = onOutOfRange(groupId, (place) => {
        const flow = flows.of(place)
        if (flow && flow.waiting === undefined) placing.placeAnew(flow)
      })
      ending.signal.addEventListener('abort', forget)
      void watchTopics(placing.recheck)
      await consume(batches, (assignment) => {
        const held = flows.take(assignment)
        // Nothing may be fetched before this returns: kafkajs would begin at an offset of its own.
        for (const flow of held) flows.hold(flow, 'position is being read')
        log.info({ assignment }, 'joined the group')
        void placing.place(held)
      })
    },

    async check() {
      if (!hasJoined) throw new Error(`the group ${groupId} has not been joined yet`)
      const silentMs = Date.now() - heardAt
      if (silentMs > silentMsMax) throw new Error(`no broker has answered the group ${groupId} for ${silentMs} ms`)
      for (const flow of flows.all()) {
        const stuckMs = flow.stuckSince === undefined ? 0 : Date.now() - flow.stuckSince
        if (stuckMs > stuckMsMax)
          throw new Error(
            `the group ${groupId} has got nowhere in ${keyOf(flow)} for ${stuckMs} ms: ${flow.waiting ?? 'a batch is being handled'}`,
          )
      }
    },

    assigned: () =>
      flows.all().map(({ topic, partition, waiting }) => ({
        topic,
        partition,
        ...(waiting === undefined ? {} : { waiting }),
      })),

    stop: () => (stopping ??= end()),
  }
}
