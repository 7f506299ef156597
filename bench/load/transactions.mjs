/**
 * Bare transactional kafkajs: a loop that anyone could write for the relay's promise. Per batch one transaction with the
 * batch's records and the position it reaches; one request in flight. Records are made beforehand: only Kafka is measured.
 */
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { serve } from './serve.mjs'

const require = createRequire(import.meta.url)
const { EventStoreDBClient, START } = require('@eventstore/db-client')
const { Kafka, CompressionTypes, logLevel } = require('kafkajs')
const { placeOf, toCloudEvent } = require('@annals/contracts')

/** Makes the records that the relay would publish for the log's first events. */
async function recordsOf(url, count, topicPrefix) {
  const client = EventStoreDBClient.connectionString(url)
  const records = []
  try {
    for await (const { event } of client.readAll({ fromPosition: START })) {
      const place = event && placeOf(event.streamId)
      if (!place) continue
      const { id, type, streamId: stream, data, metadata } = event
      const revision = Number(event.revision)
      const record = toCloudEvent({ id, type, stream, revision, position: event.position.commit, data, metadata })
      records.push({ topic: `${topicPrefix}${place.topic}`, message: { ...record, partition: place.partition } })
      if (records.length === count) break
    }
  } finally {
    await client.dispose()
  }
  return records
}

/** The former transaction is often still being finished when the next one begins; kafkajs does not ask again by itself. */
async function sendOffset(transaction, { groupId, topic, offset }) {
  const topics = [{ topic, partitions: [{ partition: 0, offset: String(offset) }] }]
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction.sendOffsets({ consumerGroupId: groupId, topics })
    } catch (error) {
      if (error.type !== 'CONCURRENT_TRANSACTIONS' || attempt === 100) throw error
      await delay(2)
    }
  }
}

/** A fresh broker makes the topics of its coordinators at the first transaction, which fails meanwhile. */
async function warmUp(groupId, topic) {
  for (let attempt = 1; ; attempt++) {
    const transaction = await producer.transaction().catch(() => undefined)
    try {
      if (!transaction) throw new Error('no transaction could be begun')
      await sendOffset(transaction, { groupId, topic, offset: 0 })
      return await transaction.commit()
    } catch (error) {
      await transaction?.abort().catch(() => {})
      if (attempt === 20) throw error
      await delay(250)
    }
  }
}

let records
let producer
let sentTo = 0

serve({
  async connect({ url, brokers, count, topicPrefix, transactionalId, groupId, topic }) {
    records = await recordsOf(url, count, topicPrefix)
    // kafkajs would wait 300 ms before its first retry.
    const retry = { initialRetryTime: 2, multiplier: 1.5, retries: 30 }
    const kafka = new Kafka({ brokers, clientId: 'annals-bench', logLevel: logLevel.NOTHING, retry })
    producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, retry })
    await producer.connect()
    await warmUp(groupId, topic)
    return { records: records.length }
  },

  /** Sends the next `count` records, beginning anew after the last, in transactions of `batch`. */
  async run({ count, batch, groupId, topic }) {
    const begunAt = performance.now()
    let sent = 0
    let transactions = 0
    while (sent < count) {
      const chunk = records.slice(sentTo, sentTo + Math.min(batch, count - sent))
      sentTo = (sentTo + chunk.length) % records.length
      sent += chunk.length
      transactions += 1
      const byTopic = new Map()
      for (const record of chunk) {
        if (!byTopic.has(record.topic)) byTopic.set(record.topic, [])
        byTopic.get(record.topic).push(record.message)
      }
      const transaction = await producer.transaction()
      await sendOffset(transaction, { groupId, topic, offset: transactions })
      await transaction.sendBatch({
        acks: -1,
        compression: CompressionTypes.None,
        topicMessages: [...byTopic].map(([topic, messages]) => ({ topic, messages })),
      })
      await transaction.commit()
    }
    return { records: sent, transactions, perSecond: (sent / (performance.now() - begunAt)) * 1000 }
  },

  close: () => producer.disconnect(),
})
