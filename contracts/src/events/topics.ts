/**
 * The topics of the published language. The partition count of a topic version is frozen: another count would move
 * streams to other partitions and lose their order. A new count is a new topic version, filled from the log.
 */
export const topics = {
  'annals.users': { category: 'user', partitions: 6 },
  'annals.sessions': { category: 'session', partitions: 6 },
  'annals.challenges': { category: 'challenge', partitions: 6 },
  'annals.payments': { category: 'payment', partitions: 6 },
} as const

export type TopicName = keyof typeof topics
export type PublishedCategory = (typeof topics)[TopicName]['category']

export const topicNames = Object.keys(topics) as TopicName[]

/** Stream-name prefixes of all that is published, for a filter on the log. */
export const publishedPrefixes = topicNames.map((name) => `${topics[name].category}-`)

const topicByCategory = new Map<string, TopicName>(topicNames.map((name) => [topics[name].category, name]))

/** @returns the topic that carries a category, or `undefined` when the category is not published. */
export const topicOfCategory = (category: string): TopicName | undefined => topicByCategory.get(category)

/**
 * Murmur2 as Kafka's Java client computes it over a key (org.apache.kafka.common.utils.Utils#murmur2), so that every
 * producer, in whatever language, agrees on a stream's partition.
 */
export function murmur2(key: Uint8Array): number {
  const m = 0x5bd1e995
  const length = key.length
  let h = 0x9747b28c ^ length
  const words = length >> 2
  for (let i = 0; i < words; i++) {
    const at = i << 2
    let k = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m) ^ k
  }
  const tail = words << 2
  const rest = length & 3
  if (rest === 3) h ^= key[tail + 2]! << 16
  if (rest >= 2) h ^= key[tail + 1]! << 8
  if (rest >= 1) h = Math.imul(h ^ key[tail]!, m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  return h ^ (h >>> 15)
}

const encoder = new TextEncoder()

/** The partition of a stream on a topic with so many partitions. */
export const partitionOf = (stream: string, partitions: number): number =>
  (murmur2(encoder.encode(stream)) & 0x7fffffff) % partitions

/** Topic and partition on which a stream's events travel, or `undefined` for a category that is not published. */
export function placeOf(stream: string): { topic: TopicName; partition: number } | undefined {
  const topic = topicOfCategory(stream.slice(0, Math.max(0, stream.indexOf('-'))))
  return topic && { topic, partition: partitionOf(stream, topics[topic].partitions) }
}
