import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { placeOf, topicNames } from '@annals/contracts'
import kafkajs from 'kafkajs'

/** Reading some hundred thousand records takes half a minute; a consumer that got stuck must not hang the check. */
const readMsMax = 180_000

/**
 * @typedef {object} TopicRecord
 * @property {string} topic
 * @property {number} partition
 * @property {bigint} offset
 * @property {string} key
 * @property {string} value
 * @property {Record<string, string>} headers
 */

export const kafkaOf = (brokers) =>
  new kafkajs.Kafka({ clientId: 'annals-faults', brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING })

/**
 * Everything that a consumer of committed records sees, from the first offset to the end as it stands now.
 *
 * @param {string} brokers comma separated
 * @param {readonly string[]} [topics]
 * @returns {Promise<TopicRecord[]>} in offset order within a partition
 */
export async function readTopics(brokers, topics = topicNames) {
  const kafka = kafkaOf(brokers)
  const admin = kafka.admin()
  const groupId = `annals.faults.${randomUUID()}`
  const consumer = kafka.consumer({ groupId, readUncommitted: false })
  const records = []
  await admin.connect()
  try {
    const open = new Map()
    for (const topic of topics) {
      for (const { partition, low, high } of await admin.fetchTopicOffsets(topic))
        if (BigInt(high) > BigInt(low)) open.set(`${topic}/${partition}`, BigInt(high))
    }
    if (open.size === 0) return []
    await consumer.connect()
    await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    const ended = new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`topics were not read within ${readMsMax} ms`)), readMsMax).unref()
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      // This event tells of batches that hold nothing but transaction markers, too: the end of a partition usually is one.
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { topic, partition, lastOffset } }) => {
        const place = `${topic}/${partition}`
        if (BigInt(lastOffset) + 1n >= (open.get(place) ?? 0n)) open.delete(place)
        if (open.size === 0) resolve()
      })
    })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch: { topic, partition, messages } }) => {
        for (const { offset, key, value, headers } of messages)
          records.push({
            topic,
            partition,
            offset: BigInt(offset),
            key: String(key),
            value: String(value),
            headers: Object.fromEntries(Object.entries(headers).map(([name, content]) => [name, String(content)])),
          })
      },
    })
    await ended
    return records
  } finally {
    await consumer.disconnect().catch(() => {})
    await admin.deleteGroups([groupId]).catch(() => {})
    await admin.disconnect().catch(() => {})
  }
}

/**
 * Promise 2: each event of a published category stands on its topic exactly once, on its stream's partition, in revision order
 * and word for word.
 *
 * @param {import('./check-log.mjs').LogEvent[]} events the whole log
 * @param {TopicRecord[]} records in offset order within a partition
 * @param {import('./findings.mjs').Findings} findings
 */
export function checkTopics(events, records, findings) {
  const published = new Map(events.filter(({ stream }) => placeOf(stream)).map((event) => [event.id, event]))
  const seen = new Set()
  const lastRevision = new Map()
  for (const record of records) {
    const at = `${record.topic}/${record.partition}@${record.offset}`
    const event = published.get(record.headers.ce_id)
    if (!event) {
      findings.wrong('topics', `${at}: event ${record.headers.ce_id} is not in the log`)
      continue
    }
    const { id, stream, revision } = event
    if (seen.has(id)) {
      findings.doubled('topics', `${at}: ${stream}@${revision} again`)
      continue
    }
    seen.add(id)
    if (revision < (lastRevision.get(stream) ?? -1))
      findings.reordered('topics', `${at}: ${stream}@${revision} after @${lastRevision.get(stream)}`)
    else lastRevision.set(stream, revision)
    const difference = differenceOf(event, record)
    if (difference) findings.wrong('topics', `${at}: ${stream}@${revision} has another ${difference} than the log`)
  }
  for (const { id, stream, revision, type } of published.values())
    if (!seen.has(id)) findings.lost('topics', `${stream}@${revision} (${type})`)
}

/** @returns {string | undefined} what of a record is not as the log has it */
function differenceOf(event, { topic, partition, key, value, headers }) {
  const place = placeOf(event.stream)
  if (topic !== place.topic || partition !== place.partition) return 'place'
  if (key !== event.stream || headers.ce_stream !== event.stream) return 'stream'
  if (headers.ce_type !== event.type) return 'type'
  if (headers.ce_revision !== String(event.revision)) return 'revision'
  if (headers.ce_position !== String(event.position)) return 'position'
  // By reference: the content is in the log only.
  if (headers.ce_dataref !== undefined) return value === null ? undefined : 'value beside a reference'
  if (!isDeepStrictEqual(JSON.parse(value), event.data)) return 'data'
  if (!isDeepStrictEqual(JSON.parse(headers.ce_metadata), event.metadata ?? null)) return 'metadata'
  return undefined
}
