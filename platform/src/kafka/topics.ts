import { ConfigResourceTypes, KafkaJSProtocolError, type Admin } from 'kafkajs'
import { pause } from '../backoff'
import { createKafka, type KafkaOptions } from './client'
import { withBroker } from './cluster'
import { topicIds } from './metadata-request'

export interface TopicSpec {
  topic: string
  /** Frozen: another count moves keys to other partitions and loses their order. */
  partitions: number
}

export interface PartitionOffsets {
  partition: number
  /** First offset that is still there. */
  low: bigint
  /** Offset that the next record gets. */
  high: bigint
}

export interface TopicState {
  /** Kafka's id: a topic that is deleted and made anew under its name has another. */
  id: string
  /** In partition order. */
  partitions: readonly PartitionOffsets[]
  /** The largest record batch that the topic takes. */
  batchBytesMax: number
}

/** Administration of topics; the third and smallest way in which Annals uses Kafka. */
export interface Topics {
  /**
   * Creates topics that are missing; leaves those that exist as they are.
   * @param replicationFactor of those it creates.
   * @throws TopicMismatch when a topic exists with another number of partitions.
   */
  ensure(specs: readonly TopicSpec[], replicationFactor: number): Promise<void>
  /** In partition order; `undefined` when there is no such topic. */
  offsets(topic: string): Promise<PartitionOffsets[] | undefined>
  /** Those that there are, by name. */
  states(topics: readonly string[]): Promise<Map<string, TopicState>>
  /** Deletes those that there are; resolves when they are gone. */
  remove(topics: readonly string[]): Promise<void>
  /** Kafka's ids of those that there are, by name. A topic that is deleted and made anew under its name has another. */
  ids(topics: readonly string[]): Promise<Map<string, string>>
  /** Throws when no broker answers. */
  ready(): Promise<void>
  close(): Promise<void>
}

/** A topic exists with another number of partitions than the published language says. */
export class TopicMismatch extends Error {
  override readonly name = 'TopicMismatch'
}

/**
 * Facts are kept for ever: records carry the time of the fact, so that any retention would delete what an old log
 * publishes the moment it arrives. A clock that runs ahead must not stop the relay either.
 */
const configEntries = [
  { name: 'retention.ms', value: '-1' },
  { name: 'retention.bytes', value: '-1' },
  // The log accepts 1 MiB in one append, and a record carries the metadata besides.
  { name: 'max.message.bytes', value: String(2 * 1024 * 1024) },
  { name: 'message.timestamp.after.max.ms', value: '9223372036854775807' },
]

/** With three replicas, two of them have a record before it is acknowledged; with fewer there is nothing to choose. */
const inSyncFor = (replicationFactor: number) =>
  replicationFactor >= 3 ? [{ name: 'min.insync.replicas', value: String(replicationFactor - 1) }] : []

/** What the broker said; also of an error that the library throws after it has tried often enough. */
const typeOf = (error: unknown): string | undefined => {
  const said = error instanceof KafkaJSProtocolError ? error : (error as { cause?: unknown } | null)?.cause
  return said instanceof KafkaJSProtocolError ? said.type : undefined
}

/** A topic that was just made reaches every broker, with leaders, within moments; a cluster in trouble takes longer. */
const topicKnownWithinMs = 15_000
const askAgainMs = 50

async function metadataOf(admin: Admin, topics: string[]) {
  const deadline = Date.now() + topicKnownWithinMs
  for (;;) {
    try {
      return await admin.fetchTopicMetadata({ topics })
    } catch (error) {
      const notYet = ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE'].includes(typeOf(error) ?? '')
      if (!notYet || Date.now() > deadline) throw error
      await pause(askAgainMs)
    }
  }
}

/** @returns `undefined` when there is no such topic. */
async function offsetsOf(admin: Admin, topic: string): Promise<PartitionOffsets[] | undefined> {
  try {
    const found = await admin.fetchTopicOffsets(topic)
    return found
      .map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
      .sort((a, b) => a.partition - b.partition)
  } catch (error) {
    if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
    throw error
  }
}

const batchLimitName = 'max.message.bytes'
/** What a topic takes that nobody has configured; assumed where a topic's configuration may not be read. */
const batchBytesStandard = 1_048_588

async function batchLimits(admin: Admin, topics: readonly string[]): Promise<Map<string, number>> {
  const limits = new Map(topics.map((topic) => [topic, batchBytesStandard]))
  if (topics.length === 0) return limits
  try {
    const asked = topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name, configNames: [batchLimitName] }))
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: asked })
    for (const { resourceName, configEntries: entries } of resources) {
      const found = entries.find(({ configName }) => configName === batchLimitName)
      if (found) limits.set(resourceName, Number(found.configValue))
    }
  } catch (error) {
    if (!typeOf(error)?.endsWith('AUTHORIZATION_FAILED')) throw error
  }
  return limits
}

export function createTopics(options: KafkaOptions): Topics {
  const kafka = createKafka(options, 5)

  // A connection for each use: they are rare, and one that was kept would have to survive every restart of a broker.
  async function withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = kafka.admin()
    await admin.connect()
    try {
      return await work(admin)
    } finally {
      await admin.disconnect().catch(() => undefined)
    }
  }

  return {
    ensure: (specs, replicationFactor) =>
      withAdmin(async (admin) => {
        const existing = new Set(await admin.listTopics())
        const missing = specs.filter(({ topic }) => !existing.has(topic))
        for (const { topic, partitions } of missing) {
          const configuration = [...configEntries, ...inSyncFor(replicationFactor)]
          // Another process may be faster; what it made is checked below like any other.
          await admin.createTopics({
            // The library's own wait gives up on a topic that the broker asked does not know yet.
            waitForLeaders: false,
            topics: [{ topic, numPartitions: partitions, replicationFactor, configEntries: configuration }],
          })
          options.log.info({ topic, partitions, replicationFactor }, 'topic is there')
        }
        const { topics } = await metadataOf(
          admin,
          specs.map(({ topic }) => topic),
        )
        for (const { topic, partitions } of specs) {
          const found = topics.find(({ name }) => name === topic)?.partitions.length
          if (found !== partitions)
            throw new TopicMismatch(
              `Topic ${topic} has ${found} partitions and must have ${partitions}: with another number, events of one stream ` +
                'would lie on two partitions and lose their order. Give the topic back its number of partitions by ' +
                'making it anew and filling it from the log (relay --from-start --to), or publish under a new topic version.',
            )
        }
      }),

    offsets: (topic) => withAdmin((admin) => offsetsOf(admin, topic)),

    states: (topics) =>
      withAdmin(async (admin) => {
        const ids = await withBroker(options, (broker) => topicIds(broker, topics))
        const names = [...ids.keys()]
        const [limits, offsets] = await Promise.all([
          batchLimits(admin, names),
          Promise.all(names.map((topic) => offsetsOf(admin, topic))),
        ])
        return new Map(
          names.flatMap((topic, i): [string, TopicState][] => {
            const partitions = offsets[i]
            return partitions ? [[topic, { id: ids.get(topic)!, partitions, batchBytesMax: limits.get(topic)! }]] : []
          }),
        )
      }),

    remove: (topics) =>
      withAdmin(async (admin) => {
        const existing = new Set(await admin.listTopics())
        const there = topics.filter((topic) => existing.has(topic))
        if (there.length > 0) await admin.deleteTopics({ topics: there })
        const deadline = Date.now() + topicKnownWithinMs
        while ((await admin.listTopics()).some((topic) => there.includes(topic))) {
          if (Date.now() > deadline) throw new Error(`${there.join(', ')} can not be deleted`)
          await pause(askAgainMs)
        }
      }),

    ids: (topics) => withBroker(options, (broker) => topicIds(broker, topics)),

    ready: () =>
      withAdmin(async (admin) => {
        await admin.describeCluster()
      }),

    close: async () => undefined,
  }
}
