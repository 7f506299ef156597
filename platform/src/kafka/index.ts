export * from './ports'
export { createConsumer, type ConsumerOptions } from './consumer'
export { createPublisher } from './publisher'
export type { SessionOptions as PublisherOptions } from './transaction-session'
export {
  createTopics,
  TopicMismatch,
  type PartitionOffsets,
  type Topics,
  type TopicSpec,
  type TopicState,
} from './topics'
export { createGroupOffsets, type CommittedOffset, type GroupOffsets } from './group-offsets'
export { recordMark } from './record-mark'
export type { KafkaOptions } from './client'
export { connectionOf, kafkaConnection, type KafkaConnection } from './connection'
