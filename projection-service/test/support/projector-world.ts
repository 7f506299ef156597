import { afterEach, beforeEach } from '@jest/globals'
import { Kafka, logLevel } from 'kafkajs'
import { placeOf, toCloudEvent, topicNames, topics, type RecordedEvent, type TopicName } from '@annals/contracts'
import { createPublisher, createTopics, type CheckpointedPublisher } from '@annals/platform/kafka'
import { createMetrics } from '@annals/platform/metrics'
import { eventually, requireEnv, uniqueName } from '@annals/platform/testing'
import { tablesOf } from '../../src/engine/tables/generation'
import type { Projection } from '../../src/engine/definition/projection'
import { createProjector, type Projector, type ProjectorOptions } from '../../src/projector/projector'
import { createTestDatabase, silent, type TestDatabase } from './database'
import { opensNothing } from './facts'
import { nobody } from './read-models'

const brokers = requireEnv('KAFKA_BROKERS').split(',')

/** What a test of running projectors owns: a database, topics, and a publisher into them; there while it runs. */
export interface ProjectorWorld {
  database: TestDatabase
  /** Stands before the names of the topics. */
  prefix: string
  /** Ends with the test, unless it is stopped before. */
  startProjector(over?: Partial<ProjectorOptions>): Promise<Projector>
  /** As the relay does: in one transaction, into the partitions of the streams. */
  publish(events: readonly RecordedEvent[]): Promise<void>
  /** Deletes topics and makes them anew, empty. */
  makeAnew(names: readonly TopicName[]): Promise<void>
  /** Events seen, by the revisions of each projection's streams. */
  seen(): Promise<number[]>
}

/** Called once, at the file's top level. @param projections that are fed. */
export function useProjectorWorld(projections: readonly Projection[]): ProjectorWorld {
  const world = {} as ProjectorWorld
  const running: Projector[] = []
  let publisher: CheckpointedPublisher
  let position = 0n

  const specsOf = (names: readonly TopicName[]) =>
    names.map((topic) => ({ topic: `${world.prefix}${topic}`, partitions: topics[topic].partitions }))

  Object.assign(world, {
    async startProjector(over = {}) {
      const projector = createProjector({
        projections,
        brokers,
        pool: world.database.pool,
        openAll: opensNothing,
        log: silent,
        metrics: createMetrics('test'),
        observerOf: () => nobody,
        onFatal: () => undefined,
        groupOf: (name) => `${world.prefix}${name}`,
        topicPrefix: world.prefix,
        ...over,
      })
      running.push(projector)
      await projector.start()
      return projector
    },

    async publish(events) {
      const records = events.map((event) => {
        const { topic, partition } = placeOf(event.stream)!
        return { ...toCloudEvent(event), topic: `${world.prefix}${topic}`, partition }
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
      const admin = new Kafka({ brokers, clientId: 'test', logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      await admin.deleteTopics({ topics: prefixed })
      await admin.disconnect()
      const made = createTopics({ brokers, clientId: 'test', log: silent })
      await eventually(async () => expectNone(await made.ids(prefixed)))
      await eventually(() => made.ensure(specs, 1))
      // Only a leader tells where a partition ends.
      for (const topic of prefixed) await eventually(async () => void (await made.offsets(topic)))
      // It looks at the cluster again.
      await publisher.takeOver()
    },

    seen: () =>
      Promise.all(
        projections.map(async (projection) => {
          const { rows } = await world.database.pool.query(
            `select coalesce(sum(revision + 1), 0) as seen from ${tablesOf(projection, 'live').stream}`,
          )
          return Number(rows[0].seen)
        }),
      ),
  } satisfies Partial<ProjectorWorld>)

  beforeEach(async () => {
    world.database = await createTestDatabase()
    world.prefix = `${uniqueName('test.projector')}.`
    const checkpoint = `${world.prefix}checkpoint`
    const specs = [...specsOf(topicNames), { topic: checkpoint, partitions: 1 }]
    await createTopics({ brokers, clientId: 'test', log: silent }).ensure(specs, 1)
    const name = uniqueName('test-projector')
    publisher = createPublisher({
      brokers,
      clientId: 'test',
      log: silent,
      transactionalId: name,
      checkpoint: { groupId: name, topic: checkpoint },
    })
    position = 0n
    await publisher.takeOver()
  })
  afterEach(async () => {
    for (const projector of running.splice(0)) await projector.stop()
    await publisher.close()
    await world.database.drop()
  })
  return world
}

function expectNone(ids: ReadonlyMap<string, string>): void {
  if (ids.size > 0) throw new Error(`there still are ${[...ids.keys()].join(', ')}`)
}
