import Cluster, { type Broker } from 'kafkajs/src/cluster'
import { pause } from '../backoff'
import { connectionTimeoutMs, inRandomOrder, requestTimeoutMs, silentLogger, type KafkaOptions } from './client'
import { securityOf } from './connection'
import { Fenced, type OutgoingRecord, type WrittenRecords } from './ports'
import { produce, type EncodedPartition } from './produce-request'
import { RecordBatch } from './record-batch'
import { socketFactory } from './sockets'

export interface SessionOptions extends KafkaOptions {
  /** Fixed: whoever opens a session under it last is the only one who can write. */
  transactionalId: string
  /** Where the position is kept: an offset that a group commits for partition 0 of a topic made for it. */
  checkpoint: { groupId: string; topic: string }
}

/** A producer from its fencing of the former one to its first error. */
export interface TransactionSession {
  publish(
    records: readonly OutgoingRecord[],
    committedOffset: bigint,
    describe?: (written: readonly WrittenRecords[]) => string,
    others?: readonly OtherOffset[],
  ): Promise<void>
  close(): void
}

export interface CommittedOffset {
  offset: bigint
  metadata: string
}

/** Of another group, for the same topic. */
export interface OtherOffset extends CommittedOffset {
  groupId: string
}

/** A broker refuses batches above 1 MB (`message.max.bytes`) unless the topic allows more. */
const batchBytesMax = 900 * 1024
/** An abandoned transaction is aborted by the broker after this; until then, or until a successor's first act, readers wait. */
const transactionTimeoutMs = 10_000
/** The former transaction's markers are still being written: about one transaction in one meets this under load. */
const concurrentWaitMs = 2
/** Markers are written within milliseconds unless a partition has no leader; then the session is given up. */
const concurrentWaitMsMax = 5_000
const metadataMaxAgeMs = 300_000

const groupCoordinator = 0
const transactionCoordinator = 1

/** kafkajs wraps what the broker said in what its retry made of it. */
function protocolErrorOf(error: unknown): string | undefined {
  const { type, cause } = (error ?? {}) as { type?: string; cause?: unknown }
  return type ?? (cause && cause !== error ? protocolErrorOf(cause) : undefined)
}

/**
 * What a broker says to a producer whose epoch has passed. Also said when a transaction took longer than its timeout; to
 * stand by is right then too, since nobody else will be seen to work.
 */
const fencedErrors = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'])

/** Asks again for as long as the former transaction is being finished. Each request is refused whole, so nothing is done twice. */
async function whileConcurrent<T>(request: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + concurrentWaitMsMax
  for (;;) {
    try {
      return await request()
    } catch (error) {
      if (protocolErrorOf(error) !== 'CONCURRENT_TRANSACTIONS' || Date.now() > deadline) throw error
      await pause(concurrentWaitMs)
    }
  }
}

/** Connects, and learns the brokers: kafkajs knows none until it has asked for some topic's metadata. */
async function connect(options: SessionOptions): Promise<Cluster> {
  const cluster = new Cluster({
    logger: silentLogger(options),
    socketFactory,
    brokers: inRandomOrder(options.brokers),
    ...securityOf(options),
    clientId: options.clientId,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    enforceRequestTimeout: true,
    metadataMaxAge: metadataMaxAgeMs,
    allowAutoTopicCreation: false,
    // One request in flight and no retries: an order that nothing can change, an outcome that nothing hides.
    maxInFlightRequests: 1,
    retry: { retries: 0 },
  })
  try {
    await cluster.connect()
    await cluster.addMultipleTargetTopics([options.checkpoint.topic])
    return cluster
  } catch (error) {
    disconnect(cluster)
    throw error
  }
}

/** Not waited for: requests to a broker that is gone would hold it up until they time out. */
const disconnect = (cluster: Cluster) => void cluster.disconnect().catch(() => undefined)

async function committedOffset(
  coordinator: Broker,
  { groupId, topic }: SessionOptions['checkpoint'],
): Promise<CommittedOffset | undefined> {
  const { responses } = await coordinator.offsetFetch({ groupId, topics: [{ topic, partitions: [{ partition: 0 }] }] })
  const found = responses[0]?.partitions[0]
  const offset = BigInt(found?.offset ?? '-1')
  return offset < 0n ? undefined : { offset, metadata: found?.metadata ?? '' }
}

/** Reads the committed offset on a connection of its own. */
export async function readCommittedOffset(options: SessionOptions): Promise<CommittedOffset | undefined> {
  const cluster = await connect(options)
  try {
    const { groupId } = options.checkpoint
    return await committedOffset(
      await cluster.findGroupCoordinator({ groupId, coordinatorType: groupCoordinator }),
      options.checkpoint,
    )
  } finally {
    disconnect(cluster)
  }
}

/** Splits records by partition, in their order, into batches that a broker accepts; the n-th batches go together. */
export function planBatches(records: readonly OutgoingRecord[], bytesMax = batchBytesMax) {
  const rounds: { topic: string; partition: number; batch: RecordBatch }[][] = []
  const open = new Map<string, { round: number; batch: RecordBatch }>()
  const start = (topic: string, partition: number, round: number) => {
    const batch = new RecordBatch(bytesMax)
    ;(rounds[round] ??= []).push({ topic, partition, batch })
    const opened = { round, batch }
    open.set(`${topic}/${partition}`, opened)
    return opened
  }
  for (const record of records) {
    const { topic, partition } = record
    const current = open.get(`${topic}/${partition}`) ?? start(topic, partition, 0)
    if (!current.batch.add(record)) start(topic, partition, current.round + 1).batch.add(record)
  }
  return rounds
}

/**
 * Fences whoever held the transactional id: its open transaction is aborted, one that is being committed is waited for.
 * Only then the committed offset is read, so that it can not move any more.
 */
export async function openSession(
  options: SessionOptions,
): Promise<{ session: TransactionSession; committed: CommittedOffset | undefined }> {
  const { transactionalId, checkpoint } = options
  const cluster = await connect(options)
  try {
    const transactions = await cluster.findGroupCoordinator({
      groupId: transactionalId,
      coordinatorType: transactionCoordinator,
    })
    const { producerId, producerEpoch } = await whileConcurrent(() =>
      transactions.initProducerId({ transactionalId, transactionTimeout: transactionTimeoutMs }),
    )
    const group = await cluster.findGroupCoordinator({
      groupId: checkpoint.groupId,
      coordinatorType: groupCoordinator,
    })
    const committed = await committedOffset(group, checkpoint)
    const identity = { transactionalId, producerId, producerEpoch }
    const session = createSession(cluster, transactions, group, identity, checkpoint)
    return { session, committed }
  } catch (error) {
    disconnect(cluster)
    throw error
  }
}

function createSession(
  cluster: Cluster,
  transactions: Broker,
  group: Broker,
  identity: { transactionalId: string; producerId: string; producerEpoch: number },
  checkpoint: SessionOptions['checkpoint'],
): TransactionSession {
  const sequences = new Map<string, number>()
  const topicsKnown = new Set<string>()

  async function knowTopics(topics: Iterable<string>): Promise<void> {
    const unknown = [...topics].filter((topic) => !topicsKnown.has(topic))
    if (unknown.length === 0) return
    await cluster.addMultipleTargetTopics(unknown)
    for (const topic of unknown) topicsKnown.add(topic)
  }

  function leaderOf(topic: string, partition: number): number {
    const found = cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)
    if (!found || found.leader < 0) throw new Error(`${topic}/${partition} has no leader`)
    return found.leader
  }

  /** Sequence numbers are Kafka's INT32, which goes on at 0 after its largest. */
  function nextSequence(place: string, count: number): number {
    const first = sequences.get(place) ?? 0
    sequences.set(place, (first + count) % 2 ** 31)
    return first
  }

  async function send(round: ReturnType<typeof planBatches>[number]): Promise<WrittenRecords[]> {
    const written: WrittenRecords[] = []
    const byLeader = new Map<number, EncodedPartition[]>()
    for (const { topic, partition, batch } of round) {
      const leader = leaderOf(topic, partition)
      const stamp = {
        producerId: BigInt(identity.producerId),
        producerEpoch: identity.producerEpoch,
        firstSequence: nextSequence(`${topic}/${partition}`, batch.count),
      }
      const encoded = { topic, partition, count: batch.count, batch: batch.encode(stamp) }
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), encoded])
    }
    for (const [nodeId, partitions] of byLeader) {
      const broker = await cluster.findBroker({ nodeId })
      const firstOffsets = await produce(broker, identity.transactionalId, requestTimeoutMs, partitions)
      for (const [i, { topic, partition, count }] of partitions.entries()) {
        const firstOffset = firstOffsets[i]!
        written.push({ topic, partition, firstOffset, nextOffset: firstOffset + BigInt(count) })
      }
    }
    return written
  }

  async function commitOffset(coordinator: Broker, { groupId, offset, metadata }: OtherOffset): Promise<void> {
    const place = { partition: 0, offset: String(offset), metadata }
    const topics = [{ topic: checkpoint.topic, partitions: [place] }]
    await whileConcurrent(() => coordinator.txnOffsetCommit({ ...identity, groupId, topics }))
  }

  return {
    close: () => disconnect(cluster),
    async publish(records, offset, describe, others = []) {
      const rounds = planBatches(records)
      const topics = new Map<string, number[]>()
      for (const { topic, partition } of rounds[0] ?? []) topics.set(topic, [...(topics.get(topic) ?? []), partition])
      try {
        await knowTopics(topics.keys())
        for (const { groupId } of [checkpoint, ...others])
          await whileConcurrent(() => transactions.addOffsetsToTxn({ ...identity, groupId }))
        if (topics.size > 0) {
          const added = [...topics].map(([topic, partitions]) => ({ topic, partitions }))
          await whileConcurrent(() => transactions.addPartitionsToTxn({ ...identity, topics: added }))
        }
        const written: WrittenRecords[] = []
        for (const round of rounds) written.push(...(await send(round)))
        const own = { groupId: checkpoint.groupId, offset, metadata: describe?.(written) ?? '' }
        await commitOffset(group, own)
        for (const other of others) {
          const { groupId } = other
          await commitOffset(await cluster.findGroupCoordinator({ groupId, coordinatorType: groupCoordinator }), other)
        }
        await transactions.endTxn({ ...identity, transactionResult: true })
      } catch (error) {
        const type = protocolErrorOf(error)
        if (type !== undefined && fencedErrors.has(type))
          throw new Fenced(`another publisher has taken ${identity.transactionalId} over`, { cause: error })
        throw error
      }
    },
  }
}
