import type { EachBatchPayload, KafkaMessage } from 'kafkajs'
import type { Logger } from 'pino'
import { backoffMs } from '../backoff'
import type { ConsumerMetrics } from './consumer-metrics'
import { Overdue, withDeadline } from './deadline'
import { retryBackoff, type Flow, type Flows } from './flows'
import type { Placing } from './placing'
import type { BatchOutcome, IncomingBatch, IncomingRecord, PartitionHandler, TopicPartition } from './ports'
import { recordMark } from './record-mark'

const toRecord = ({ offset, key, value, headers = {}, timestamp }: KafkaMessage): IncomingRecord => ({
  offset: BigInt(offset),
  key: key === null ? null : key.toString(),
  value,
  headers: headers as Record<string, Buffer | undefined>,
  timestamp: Number(timestamp),
})

/** What kafkajs' types leave out: the offset that was asked for. */
type FetchedBatch = EachBatchPayload['batch'] & { fetchedOffset: string }

/** The end of a batch, as kafkajs tells of it. */
export interface PassedBatch extends TopicPartition {
  /** Records that are no markers; 0: it was never handed over. */
  batchSize: number
  /** Of all that is in it; `null`: nothing is. */
  firstOffset: string | null
  lastOffset: string
  highWatermark: string
}

export interface BatchesOptions {
  flows: Flows
  placing: Placing
  log: Logger
  meter: ConsumerMetrics | undefined
  heartbeatMs: number
  handleMsMax: number
  /** Commits to Kafka how far reading has come, and a text beside it. */
  testify: (flow: Flow, nextOffset: bigint, metadata: string) => Promise<void>
}

/** What is done with each batch that was fetched: only what goes on where its partition stands is handed to the handler. */
export function createBatches(
  handler: PartitionHandler,
  { flows, placing, log, meter, heartbeatMs, handleMsMax, testify }: BatchesOptions,
) {
  /**
   * The handler's word on a batch; what it throws counts as "not yet". Keeps the membership alive meanwhile.
   * @throws Overdue
   */
  async function outcomeOf(batch: IncomingBatch, flow: Flow, heartbeat: () => Promise<void>): Promise<BatchOutcome> {
    // A rebalance is noticed by kafkajs itself after the batch; here its error only says that one is under way.
    const beat = setInterval(() => void heartbeat().catch(() => undefined), heartbeatMs)
    const { topic, partition } = batch
    const place = { topic, partition, offset: String(batch.records[0]!.offset) }
    try {
      flow.isBusy = true
      const what = `to handle a batch of ${topic}/${partition}`
      const outcome = await withDeadline(handleMsMax, what, () => handler.handle(batch))
      // It waits because it is told to.
      if (outcome.kind === 'wait') flow.stuckSince = undefined
      return outcome
    } catch (error) {
      if (error instanceof Overdue) {
        log.error({ err: error, ...place }, 'batch overdue, the membership is given up')
        if (flows.isCurrent(flow)) flows.hold(flow, error.message)
        throw error
      }
      const waitMs = backoffMs(retryBackoff, flow.failures + 1, Math.random())
      log.error({ err: error, ...place, waitMs }, 'batch failed')
      return { kind: 'wait', waitMs, reason: String(error) }
    } finally {
      clearInterval(beat)
      flow.isBusy = false
    }
  }

  /**
   * The first batch after a partition was placed begins with the record that was handled last.
   * @returns what has not been handled yet; `undefined`: this is another log than the one that was read.
   */
  function afterKnown(flow: Flow, records: readonly IncomingRecord[]): readonly IncomingRecord[] | undefined {
    if (!flow.known) return records
    const [first, ...rest] = records
    if (first?.offset !== flow.known.offset || recordMark(first) !== flow.known.mark) return undefined
    flow.known = undefined
    return rest
  }

  return {
    /** @throws Overdue */
    async each(payload: EachBatchPayload): Promise<void> {
      const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload
      const flow = flows.of(batch)
      if (!flow || flow.waiting !== undefined || !isRunning() || isStale()) return
      const { topic, partition } = batch
      // It may have been on its way when its partition was placed elsewhere, or kafkajs went elsewhere by itself.
      const { fetchedOffset } = batch as FetchedBatch
      if (BigInt(fetchedOffset) !== flow.at) {
        log.warn(
          { topic, partition, at: String(flow.at), fetchedOffset },
          'a batch from another place of the partition is refused',
        )
        return placing.placeAnew(flow)
      }
      const all = batch.messages.map(toRecord)
      const lastOffset = batch.lastOffset()
      const nextOffset = BigInt(lastOffset) + 1n
      const records = afterKnown(flow, all)
      if (!records) {
        const found = all[0] && `${recordMark(all[0])} at offset ${all[0].offset}`
        return placing.otherContent(flow, found ?? 'nothing')
      }
      if (records.length === 0) {
        flow.at = nextOffset
        return resolveOffset(lastOffset)
      }
      flow.behindSince = records[0]!.timestamp
      flow.owedAt ??= records[0]!.offset
      flow.stuckSince ??= Date.now()
      const incoming: IncomingBatch = {
        topic,
        partition,
        topicId: flow.topicId,
        records,
        nextOffset,
        highWatermark: BigInt(batch.highWatermark),
      }
      const outcome = await outcomeOf(incoming, flow, heartbeat)
      // After a rebalance the partition is another's, or was placed anew: this outcome says nothing about it.
      if (!flows.isCurrent(flow)) return
      switch (outcome.kind) {
        case 'done':
          flow.failures = 0
          flow.owedAt = undefined
          flow.stuckSince = undefined
          flow.at = nextOffset
          // What follows is no older than the last of these.
          flow.behindSince = incoming.highWatermark > nextOffset ? records.at(-1)?.timestamp : undefined
          flow.kept = nextOffset
          meter?.handled(topic, records.length)
          if (outcome.commit !== undefined)
            await testify(flow, nextOffset, outcome.commit).catch((error: unknown) =>
              log.warn({ err: error, topic, partition }, 'the reading position could not be committed to Kafka'),
            )
          return resolveOffset(lastOffset)
        case 'wait': {
          flow.failures++
          flows.hold(flow, outcome.reason)
          const resumeAt = outcome.resumeAt ?? records[0]!.offset
          return flows.later(flow, outcome.waitMs, () => flows.flowFrom(flow, resumeAt))
        }
        case 'reposition':
          return placing.placeAnew(flow)
      }
    },

    /** Told of every batch when it was dealt with, also of those that hold nothing but markers, which are never handed over. */
    passed({ topic, partition, batchSize, firstOffset, ...batch }: PassedBatch): void {
      const flow = flows.of({ topic, partition })
      if (!flow || flow.waiting !== undefined) return
      const nextOffset = BigInt(batch.lastOffset) + 1n
      if (batchSize === 0) {
        if (firstOffset === null || BigInt(firstOffset) !== flow.at) return
        if (flow.known) return void placing.otherContent(flow, 'no record')
        flow.at = nextOffset
      }
      // Else it was refused.
      if (nextOffset !== flow.at) return
      const highWatermark = BigInt(batch.highWatermark)
      handler.passed?.({ topic, partition }, nextOffset)
      // Markers alone may have followed what was handled.
      if (nextOffset >= highWatermark) flow.behindSince = undefined
      meter?.lag({ topic, partition }, Number(highWatermark - nextOffset))
    },
  }
}
