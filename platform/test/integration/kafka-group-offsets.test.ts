import { afterAll, describe, expect, it } from '@jest/globals'
import { Kafka, logLevel } from 'kafkajs'
import { pino } from 'pino'
import { createConsumer, createGroupOffsets, createTopics } from '../../src/kafka'
import { eventually, requireEnv, uniqueName } from '../../src/testing'

const brokers = requireEnv('KAFKA_BROKERS').split(',')
const log = pino({ level: 'silent' })
const options = { brokers, clientId: 'test', log }
const kafka = new Kafka({ brokers, clientId: 'test', logLevel: logLevel.NOTHING })
const topic = uniqueName('test.witness')
const group = uniqueName('test.witness')

afterAll(async () => {
  const admin = kafka.admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [topic] })
  await admin.disconnect()
})

describe('what a group commits to Kafka', () => {
  it('is told with the text beside it, once a batch was handled, and is no position to read from', async () => {
    const offsets = createGroupOffsets(options)
    await createTopics(options).ensure([{ topic, partitions: 2 }], 1)
    expect(await offsets.committed(group, [topic, `${topic}.absent`])).toEqual([])

    const read: string[] = []
    const start = async () => {
      const consumer = createConsumer({ ...options, groupId: group, topics: [topic], onFatal: () => undefined })
      await consumer.run({
        // From the beginning, whatever was committed.
        positions: async (assigned) => assigned.map(() => undefined),
        handle: async ({ records }) => {
          read.push(...records.map(({ value }) => String(value)))
          return { kind: 'done', commit: `read ${String(records.at(-1)!.value)}` }
        },
      })
      return consumer
    }
    const producer = kafka.producer()
    await producer.connect()
    await producer.send({ topic, messages: [{ partition: 1, value: 'a' }] })
    await producer.send({ topic, messages: [{ partition: 1, value: 'b' }] })
    await producer.disconnect()

    const first = await start()
    const committed = [{ topic, partition: 1, offset: 2n, metadata: 'read b' }]
    await eventually(async () => expect(await offsets.committed(group, [topic])).toEqual(committed))
    await first.stop()
    expect(await offsets.committed(group, [topic])).toEqual(committed)

    const second = await start()
    await eventually(() => expect(read).toEqual(['a', 'b', 'a', 'b']))
    await second.stop()
  }, 60_000)
})
