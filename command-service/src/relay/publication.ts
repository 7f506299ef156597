import type { CheckpointedPublisher, OtherPosition, OutgoingRecord, WrittenRecords } from '@annals/platform/kafka'
import { checkpointText, type RelayCheckpoint, type TopicPlace } from './checkpoint'
import type { Batch } from './event-queue'
import { topicLost } from './refusals'

/**
 * How far publishing has come, and the step on from there: records and checkpoint are one transaction. What the checkpoint
 * says of topics follows from where the broker has put the records.
 */
export class Publication {
  #checkpoint: RelayCheckpoint

  /**
   * @param routed topics that are published into; the checkpoint holds others as well, which stand still.
   * @param whole of a part: the main relay's checkpoint, which nobody else keeps from being forgotten.
   */
  constructor(
    private readonly publisher: Pick<CheckpointedPublisher, 'publish'>,
    private readonly routed: ReadonlySet<string>,
    checkpoint: RelayCheckpoint,
    private readonly whole?: OtherPosition,
  ) {
    this.#checkpoint = checkpoint
  }

  get checkpoint(): RelayCheckpoint {
    return this.#checkpoint
  }

  /** Topics that stand before the rest, and where. */
  get behind(): Map<string, bigint> {
    const { topics, position } = this.#checkpoint
    return new Map(
      [...topics].flatMap(([topic, { after }]): [string, bigint][] =>
        this.routed.has(topic) && after !== undefined && after < position ? [[topic, after]] : [],
      ),
    )
  }

  /** Whether a topic has its event at this position already. */
  has({ topic }: OutgoingRecord, position: bigint): boolean {
    const after = this.#checkpoint.topics.get(topic)?.after
    return after !== undefined && position <= after
  }

  /** Commits the checkpoint as it is: a proof that transactions work, and it keeps the broker from forgetting it. */
  async confirm(): Promise<void> {
    await this.#commit([], this.#checkpoint, this.whole && [this.whole])
  }

  /** Publishes what comes next, of all topics. */
  async forward({ records, position, event }: Batch): Promise<void> {
    const topics = new Map(this.#checkpoint.topics)
    for (const [topic, { after, ...place }] of topics)
      if (this.routed.has(topic) && after !== undefined && after <= position) topics.set(topic, place)
    await this.#commit(records, { ...this.#checkpoint, position, event, topics })
  }

  /** Publishes what topics that stand before the rest have not got yet; the rest stays where it is. */
  async fill({ records, position }: Batch, filled: ReadonlySet<string>): Promise<void> {
    await this.#commit(records, this.#moved(filled, position))
  }

  /** Topics that stood before the rest have caught up with it. */
  async join(filled: ReadonlySet<string>): Promise<void> {
    await this.#commit([], this.#moved(filled, undefined))
  }

  #moved(filled: ReadonlySet<string>, position: bigint | undefined): RelayCheckpoint {
    const topics = new Map(this.#checkpoint.topics)
    for (const topic of filled) {
      const { after, ...place } = topics.get(topic)!
      const moved = position !== undefined && after !== undefined && after > position ? after : position
      topics.set(topic, moved === undefined ? place : { ...place, after: moved })
    }
    return { ...this.#checkpoint, topics }
  }

  async #commit(
    records: readonly OutgoingRecord[],
    next: RelayCheckpoint,
    others?: readonly OtherPosition[],
  ): Promise<void> {
    let reached = next
    const describe = (written: readonly WrittenRecords[]) => {
      reached = { ...next, topics: withEnds(next.topics, written) }
      return checkpointText(reached)
    }
    await this.publisher.publish(records, next.position, describe, others)
    this.#checkpoint = reached
  }
}

/** @throws RelayRefusal when a record lies before the end that its partition had: it was published into another topic. */
function withEnds(
  topics: ReadonlyMap<string, TopicPlace>,
  written: readonly WrittenRecords[],
): ReadonlyMap<string, TopicPlace> {
  const moved = new Map(topics)
  for (const { topic, partition, firstOffset, nextOffset } of written) {
    const place = moved.get(topic)
    if (!place) continue
    const ends = [...place.ends]
    if (firstOffset < (ends[partition] ?? 0n)) throw topicLost(topic, 'has gone back', true)
    ends[partition] = nextOffset
    moved.set(topic, { ...place, ends })
  }
  return moved
}
