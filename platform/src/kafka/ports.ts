/** The two ways in which Annals uses Kafka. kafkajs stays behind them. */

/** One record to publish. The partition is chosen by the caller, so that it is part of the batch's plan. */
export interface OutgoingRecord {
  topic: string
  partition: number
  key: string
  value: string | null
  headers: Record<string, string>
  /** Epoch ms, as text. */
  timestamp: string
}

/** What was committed last. */
export interface CommittedPosition {
  /** -1: publishing began, and nothing was published yet. */
  position: bigint
  /** What the publisher wrote beside it; empty: nothing. */
  metadata: string
}

/** A position that another publisher goes on from. */
export interface OtherPosition extends CommittedPosition {
  /** The group that keeps it. */
  groupId: string
}

/** Records of one partition that lie in the topic, and count once they are committed. */
export interface WrittenRecords extends TopicPartition {
  firstOffset: bigint
  /** One after the last of them. */
  nextOffset: bigint
}

/** Publishes batches, each together with the position that it reaches, in one Kafka transaction. */
export interface CheckpointedPublisher {
  /**
   * Fences any former publisher of the same name, then reads the position that was committed last.
   * @returns `undefined` when there never was a position.
   * @throws Error when the cluster does not get as far within 15 s.
   */
  takeOver(): Promise<CommittedPosition | undefined>
  /** Reads the committed position as `takeOver` does, and disturbs nobody. */
  committed(): Promise<CommittedPosition | undefined>
  /**
   * Publishes records in order and moves the position, both or neither.
   * Without records only the position is committed: a proof that transactions work, and it keeps the broker from
   * forgetting a position that has not moved for `offsets.retention.minutes`.
   * @param position not less than any committed before, unless it is -1: nothing published yet, or all begins anew.
   * @param describe tells what is kept beside the position (4,096 bytes at most with Kafka's defaults), once the records are
   *   written and before they count; what it throws ends the transaction, and nothing was published.
   * @param others move in the same transaction. Whose position it is must be fenced, or must not have begun.
   * @throws Fenced when another publisher has taken over: stand by.
   * @throws any other error: the outcome is unknown; call `takeOver` and go on from what it returns.
   */
  publish(
    records: readonly OutgoingRecord[],
    position: bigint,
    describe?: (written: readonly WrittenRecords[]) => string,
    others?: readonly OtherPosition[],
  ): Promise<void>
  close(): Promise<void>
}

/** Another publisher of the same name is active. Not a failure: the one that was fenced stands by. */
export class Fenced extends Error {
  override readonly name = 'Fenced'
}

export interface TopicPartition {
  topic: string
  partition: number
}

/**
 * Where reading of a partition goes on, told by content: an offset alone means nothing once a topic was made anew, restored or cut.
 * What is not known is left out, and not compared.
 */
export interface ReadingPlace {
  /** Kafka offset at which reading goes on. */
  nextOffset: bigint
  /** Kafka's id of the topic that the offset belongs to. */
  topicId?: string | undefined
  /** The last record that was handled, by its offset and by what `recordMark` makes of it. */
  last?: { offset: bigint; mark: string } | undefined
}

/** One record as it was read; committed transactions only. */
export interface IncomingRecord {
  offset: bigint
  key: string | null
  value: Buffer | null
  headers: Record<string, Buffer | undefined>
  /** Epoch ms. */
  timestamp: number
}

/** Records of one partition, in order. */
export interface IncomingBatch extends TopicPartition {
  /** Kafka's id of the topic, as it was when the partition was placed: part of the {@link ReadingPlace} that handling leads to. */
  topicId: string
  records: readonly IncomingRecord[]
  /** Where reading goes on after this batch; larger than the last record's offset + 1 where markers follow. */
  nextOffset: bigint
  /** End of the partition when the batch was fetched: `highWatermark - nextOffset` is the lag in records. */
  highWatermark: bigint
}

export type BatchOutcome =
  /**
   * Applied, and the position that makes it so is durable on the handler's side. With `commit`, the batch's `nextOffset` is committed to
   * Kafka too, this text beside it: no position to read from, but a witness of how far reading had come. When that fails, it is left out.
   */
  | { kind: 'done'; commit?: string }
  /** Not yet: the partition waits, others flow; reading goes on at `resumeAt` (default: the batch's first record). */
  | { kind: 'wait'; waitMs: number; reason: string; resumeAt?: bigint }
  /** The checkpoint was not where this instance thought: read it again and seek there. */
  | { kind: 'reposition' }

/** What is done with the records of partitions, and where their effects stand. */
export interface PartitionHandler {
  /** Where each partition goes on, from where its effects are kept; `undefined`: from the beginning. */
  positions(assigned: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]>
  /**
   * The same, to compare: nobody goes on from there, so nothing that the handler expects of its next batch may change. Has to be
   * there where `positions` changes that.
   */
  look?(places: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]>
  /**
   * Called for one partition at a time in order; an error it throws is logged and treated as `wait`. A handler that
   * takes longer than the consumer's bound is not waited for, and the membership is given up. It may still end, or
   * fail, while another instance (or this one) handles the same records.
   */
  handle(batch: IncomingBatch): Promise<BatchOutcome>
  /** Told after every batch how far the partition has been read, also of those that hold only transaction markers. */
  passed?(place: TopicPartition, nextOffset: bigint): void
}

/** A consumer whose position lives with its effects, not in Kafka. */
export interface PartitionedConsumer {
  /**
   * Starts; resolves when the group has been joined once. Group instances share the partitions. Waits for brokers and
   * topics that are not there yet. A partition whose place does not fit the topic (it was made anew, cut, restored) is read from its
   * first record again: what a handler has handled it is handed again.
   * @throws Error when the group can not be joined at all.
   */
  run(handler: PartitionHandler): Promise<void>
  /**
   * For readiness. A partition that waits because its handler said so is no fault here: that has a metric of its own.
   * @throws Error when the group has not been joined yet, no broker has answered it for a minute, or a partition that has records
   *   has got nowhere for a minute. A rebalance takes half of that at most.
   */
  check(): Promise<void>
  /** Partitions that this instance holds now, and whether each is waiting. */
  assigned(): readonly (TopicPartition & { waiting?: string })[]
  /** Ends after the batches in hand. */
  stop(): Promise<void>
}
