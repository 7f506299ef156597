import { placeOf, toCloudEvent, topicNames, topics, type RecordedEvent } from '@annals/contracts'
import { createPublisher, createTopics } from '@annals/platform/kafka'
import { requireEnv, uniqueName } from '@annals/platform/testing'
import { silent } from './database'

/** Copies of the published topics, which nobody else writes to. */
export interface OwnTopics {
  brokers: string[]
  /** Stands before their names. */
  prefix: string
  /** In one Kafka transaction, as the relay does. */
  publish(events: readonly RecordedEvent[]): Promise<void>
  close(): Promise<void>
}

export async function openOwnTopics(): Promise<OwnTopics> {
  const brokers = requireEnv('KAFKA_BROKERS').split(',')
  const prefix = `${uniqueName('test.projector')}.`
  const checkpoint = `${prefix}checkpoint`
  const options = { brokers, clientId: 'test', log: silent }
  const admin = createTopics(options)
  const specs = topicNames.map((topic) => ({ topic: `${prefix}${topic}`, partitions: topics[topic].partitions }))
  await admin.ensure([...specs, { topic: checkpoint, partitions: 1 }], 1)
  await admin.close()
  const name = uniqueName('test-projector')
  const place = { groupId: name, topic: checkpoint }
  const publisher = createPublisher({ ...options, transactionalId: name, checkpoint: place })
  await publisher.takeOver()
  let position = 0n
  return {
    brokers,
    prefix,
    async publish(events) {
      const records = events.map((event) => {
        const { topic, partition } = placeOf(event.stream)!
        const { key, value, headers, timestamp } = toCloudEvent(event)
        return { topic: `${prefix}${topic}`, partition, key, value, headers, timestamp }
      })
      position += BigInt(events.length)
      await publisher.publish(records, position)
    },
    close: () => publisher.close(),
  }
}
