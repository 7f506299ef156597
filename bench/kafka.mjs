import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { Kafka, logLevel } = require('kafkajs')
const { topicNames, topics } = require('@annals/contracts')

const open = (brokers) => new Kafka({ brokers, clientId: 'annals-bench-watch', logLevel: logLevel.NOTHING })

/** @template T @param {string[]} brokers @param {(admin: import('kafkajs').Admin) => Promise<T>} work @returns {Promise<T>} */
export async function withAdmin(brokers, work) {
  const admin = open(brokers).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** The published topics under other names, with as many partitions. Their records are older than Kafka's usual retention. */
export const createCopies = (admin, prefix) =>
  admin.createTopics({
    waitForLeaders: true,
    topics: topicNames.map((topic) => ({
      topic: `${prefix}${topic}`,
      numPartitions: topics[topic].partitions,
      replicationFactor: 1,
      configEntries: [
        { name: 'retention.ms', value: '-1' },
        { name: 'message.timestamp.after.max.ms', value: '9223372036854775807' },
      ],
    })),
  })

/**
 * How far the published topics have grown: records and the markers that end transactions.
 *
 * @param {import('kafkajs').Admin} admin
 * @returns {Promise<Record<string, number>>} next offset by `topic/partition`; a topic that is not there yet has none
 */
export async function endOffsets(admin) {
  const ends = {}
  for (const topic of topicNames) {
    const offsets = await admin.fetchTopicOffsets(topic).catch((error) => {
      if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') return []
      throw error
    })
    for (const { partition, high } of offsets) ends[`${topic}/${partition}`] = Number(high)
  }
  return ends
}

export const sum = (numbers) => Object.values(numbers).reduce((total, number) => total + number, 0)

/**
 * Reads the published topics from their beginning to their present end, committed transactions only.
 *
 * @param {string[]} brokers
 * @param {{ signal: AbortSignal, withinMs: number }} options
 * @returns {Promise<{ records: number, distinct: number, outOfOrder: number }>} `distinct` by stream and revision;
 *   `outOfOrder`: records whose revision is not their stream's next
 */
export async function countRecords(brokers, { signal, withinMs }) {
  const ends = await withAdmin(brokers, endOffsets)
  const left = new Set(Object.keys(ends).filter((place) => ends[place] > 0))
  const consumer = open(brokers).consumer({
    groupId: `annals-bench-count-${process.pid}-${Date.now()}`,
    maxBytesPerPartition: 2 ** 21,
  })
  const last = new Map()
  const counted = { records: 0, distinct: 0, outOfOrder: 0 }
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: topicNames, fromBeginning: true })
    await new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the topics were not read within ${withinMs / 1000} s`)),
        withinMs,
      )
      const end = (act) => {
        clearTimeout(timer)
        act()
      }
      signal.addEventListener('abort', () => end(() => reject(signal.reason)), { once: true })
      consumer.on(consumer.events.CRASH, ({ payload }) => end(() => reject(payload.error)))
      // The end of a partition is mostly a marker, of which eachBatch is not told.
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { topic, partition, lastOffset } }) => {
        if (Number(lastOffset) + 1 >= ends[`${topic}/${partition}`]) left.delete(`${topic}/${partition}`)
        if (left.size === 0) end(resolve)
      })
      consumer
        .run({
          autoCommit: false,
          partitionsConsumedConcurrently: 3,
          eachBatch: async ({ batch: { messages } }) => {
            for (const { headers } of messages) {
              const stream = headers.ce_stream.toString()
              const revision = Number(headers.ce_revision)
              const before = last.get(stream) ?? -1
              counted.records += 1
              if (revision === before + 1) counted.distinct += 1
              else counted.outOfOrder += 1
              if (revision > before) last.set(stream, revision)
            }
          },
        })
        .catch((error) => end(() => reject(error)))
    })
    return counted
  } finally {
    await consumer.disconnect()
  }
}
