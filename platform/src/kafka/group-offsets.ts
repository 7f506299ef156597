import { createKafka, type KafkaOptions } from './client'
import type { TopicPartition } from './ports'

/** What a group has committed to Kafka for one partition. */
export interface CommittedOffset extends TopicPartition {
  offset: bigint
  /** What was committed beside it; `null`: nothing. */
  metadata: string | null
}

export interface GroupOffsets {
  /**
   * What a group has committed, of those partitions of these topics for which it has committed anything. A topic that is not there has
   * none; Kafka forgets those of a group that was away for `offsets.retention.minutes` (a week).
   * @throws Error when the group's coordinator does not answer.
   */
  committed(groupId: string, topics: readonly string[]): Promise<CommittedOffset[]>
}

export function createGroupOffsets(options: KafkaOptions): GroupOffsets {
  const kafka = createKafka(options, 5)
  return {
    async committed(groupId, topics) {
      const admin = kafka.admin()
      await admin.connect()
      try {
        const there = new Set(await admin.listTopics())
        const asked = topics.filter((topic) => there.has(topic))
        if (asked.length === 0) return []
        const found = await admin.fetchOffsets({ groupId, topics: asked })
        return found.flatMap(({ topic, partitions }) =>
          partitions
            .map(({ partition, offset, metadata }) => ({ topic, partition, offset: BigInt(offset), metadata }))
            // -1: nothing was committed.
            .filter(({ offset }) => offset >= 0n),
        )
      } finally {
        await admin.disconnect().catch(() => undefined)
      }
    },
  }
}
