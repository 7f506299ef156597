import type { Consumer } from 'kafkajs'
import type { Registry } from '../metrics'
import { pause } from '../backoff'
import type { Logger } from '../log'
import { createBatches } from './batches'
import { createKafka, type KafkaOptions } from './client'
import { consumerMetrics } from './consumer-metrics'
import { onOutOfRange } from './fetch-faults'
import { createFlows, keyOf, type Flow } from './flows'
import { Membership } from './membership'
import { createPlacing } from './placing'
import type { PartitionedConsumer, PartitionHandler } from './ports'
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
/** Brokers that have not answered for so long are away; the alarm on `annals_consumer_silent_seconds` has the same bound. */
const silentMsMax = 60_000
/** A partition that has got nowhere for so long will not by itself. */
const stuckMsMax = 60_000

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
  const { signal } = ending
  const flows = createFlows(consumer, { log, meter, signal })
  const membership = new Membership(consumer, { topics: names, concurrency, log, onFatal, signal })
  meter?.ask(flows.all, () => membership.heardAt)
  let stopping: Promise<void> | undefined

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
      signal.addEventListener('abort', forget)
      void recheckPlaces(placing, { recheckMs, log, signal })
      await membership.join(batches, (assignment) => {
        const held = flows.take(assignment)
        // Nothing may be fetched before this returns: kafkajs would begin at an offset of its own.
        for (const flow of held) flows.hold(flow, 'position is being read')
        log.info({ assignment }, 'joined the group')
        void placing.place(held)
      })
    },

    check: async () => assertMoving(groupId, membership, flows.all()),

    assigned: () =>
      flows.all().map(({ topic, partition, waiting }) => ({
        topic,
        partition,
        ...(waiting === undefined ? {} : { waiting }),
      })),

    stop: () => (stopping ??= end()),
  }

  async function end(): Promise<void> {
    ending.abort()
    await membership.leave()
    flows.end()
  }
}

/** Looks from time to time whether topics, and the handler's positions, are still those that were placed. */
async function recheckPlaces(
  placing: ReturnType<typeof createPlacing>,
  { recheckMs, log, signal }: { recheckMs: number; log: Logger; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    await pause(recheckMs * (0.8 + 0.2 * Math.random()), signal)
    if (signal.aborted) return
    await placing.recheck().catch((error: unknown) => log.debug({ err: error }, 'places could not be looked at again'))
  }
}

/** @throws Error, in words for readiness, when the group was not joined, brokers are silent, or a partition gets nowhere. */
function assertMoving(groupId: string, { hasJoined, heardAt }: Membership, flows: readonly Flow[]): void {
  if (!hasJoined) throw new Error(`the group ${groupId} has not been joined yet`)
  const silentMs = Date.now() - heardAt
  if (silentMs > silentMsMax) throw new Error(`no broker has answered the group ${groupId} for ${silentMs} ms`)
  for (const flow of flows) {
    const stuckMs = flow.stuckSince === undefined ? 0 : Date.now() - flow.stuckSince
    if (stuckMs > stuckMsMax)
      throw new Error(
        `the group ${groupId} has got nowhere in ${keyOf(flow)} for ${stuckMs} ms: ${flow.waiting ?? 'a batch is being handled'}`,
      )
  }
}
