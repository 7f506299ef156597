import { placeOf, toCloudEvent, topicNames, topics, type RecordedEvent, type TopicName } from '@annals/contracts'
import { createPublisher, createTopics, type CheckpointedPublisher } from '@annals/platform/kafka'
import { eventually, requireEnv, uniqueName, type TestScope } from '@annals/platform/testing'
import { silent } from './database'

/** Copies of the published topics, which nobody else writes to. */
export interface OwnTopics {
  brokers: string[]
  /** Stands before their names. */
  prefix: string
  publisher: CheckpointedPublisher
  /** As the relay does: in one transaction, into the partitions of the streams. */
  publish(events: readonly RecordedEvent[]): Promise<void>
  /** Deletes topics and makes them anew, empty. */
  makeAnew(names: readonly TopicName[]): Promise<void>
}

/** @param scope deletes them. */
export async function openOwnTopics(scope: TestScope): Promise<OwnTopics> {
  const brokers = requireEnv('KAFKA_BROKERS').split(',')
  const prefix = `${uniqueName('test.projector')}.`
  const checkpoint = `${prefix}checkpoint`
  const options = { brokers, clientId: 'test', log: silent }
  const specsOf = (names: readonly TopicName[]) =>
    names.map((topic) => ({ topic: `${prefix}${topic}`, partitions: topics[topic].partitions }))
  await scope.topics([...specsOf(topicNames), { topic: checkpoint, partitions: 1 }])
  const place = { groupId: prefix, topic: checkpoint }
  const publisher = scope.add(createPublisher({ ...options, transactionalId: prefix, checkpoint: place }), (it) =>
    it.close(),
  )
  await publisher.takeOver()
  let position = 0n

  return {
    brokers,
    prefix,
    publisher,
    async publish(events) {
      const records = events.map((event) => {
        const { topic, partition } = placeOf(event.stream)!
        return { ...toCloudEvent(event), topic: `${prefix}${topic}`, partition }
      })
      position += BigInt(events.length)
      // As the relay does: brokers that made a topic anew refuse for a moment, and what was committed is not published twice.
      await eventually(
        async () => {
          try {
            await publisher.publish(records, position)
          } catch (error) {
            if ((await publisher.takeOver())?.position !== position) throw error
          }
        },
        { withinMs: 30_000 },
      )
    },

    async makeAnew(names) {
      const specs = specsOf(names)
      const prefixed = specs.map(({ topic }) => topic)
      const admin = createTopics(options)
      await admin.remove(prefixed)
      await eventually(() => admin.ensure(specs, 1))
      // Only a leader tells where a partition ends.
      for (const topic of prefixed) await eventually(async () => void (await admin.offsets(topic)))
      // It looks at the cluster again.
      await publisher.takeOver()
    },
  }
}
