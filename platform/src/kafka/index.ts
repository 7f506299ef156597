export * from './ports'
export { createConsumer, type ConsumerOptions } from './consumer'
export { createTopics, TopicMismatch, type PartitionOffsets, type Topics, type TopicSpec } from './topics'
export type { KafkaOptions } from './client'
