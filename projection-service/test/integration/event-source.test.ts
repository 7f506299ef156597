import { beforeAll, describe, expect, it, jest } from '@jest/globals'
import { Kafka, logLevel } from 'kafkajs'
import { placeOf, toCloudEvent, topics, type RecordedEvent, type TopicName } from '@annals/contracts'
import { createPublisher } from '@annals/platform/kafka'
import { requireEnv, testScope, uniqueName } from '@annals/platform/testing'
import type { PlacedEvent } from '../../src/replay/fold/bulk-fold'
import { logSource, type EventSource } from '../../src/replay/source/event-source'
import { exitCodeOf, exitCodes } from '../../src/replay/exit-code'
import { kafkaSource, TopicsIncomplete } from '../../src/replay/source/kafka-source'
import { silent } from '../support/database'
import { openOwnLog, type OwnLog } from '../support/own-log'

// Joining a group takes seconds, on a busy machine many.
jest.setTimeout(120_000)

const brokers = requireEnv('KAFKA_BROKERS').split(',')
const names: readonly TopicName[] = ['annals.payments']

const scope = testScope('file')
let own: OwnLog
let events: RecordedEvent[]
let middle: bigint
let topicPrefix: string

/** As the relay does: records and position in one transaction, so that markers lie between and behind them. */
async function publish(prefix: string, published: readonly RecordedEvent[]): Promise<void> {
  const checkpoint = `${prefix}checkpoint`
  const specs = names.map((name) => ({ topic: `${prefix}${name}`, partitions: topics[name].partitions }))
  await scope.topics([...specs, { topic: checkpoint, partitions: 1 }])
  const name = uniqueName('test-source')
  const publisher = createPublisher({
    brokers,
    clientId: 'test',
    log: silent,
    transactionalId: name,
    checkpoint: { groupId: name, topic: checkpoint },
  })
  await publisher.takeOver()
  for (let i = 0; i < published.length; i += 50) {
    const batch = published.slice(i, i + 50)
    const records = batch.map((event) => {
      const { topic, partition } = placeOf(event.stream)!
      return { ...toCloudEvent(event), topic: `${prefix}${topic}`, partition }
    })
    await publisher.publish(records, batch.at(-1)!.position)
  }
  await publisher.close()
}

beforeAll(async () => {
  own = await openOwnLog(scope)
  ;({ events } = await own.pay(40, 2))
  middle = events[70]!.position
  topicPrefix = `${uniqueName('test.source')}.`
  await publish(topicPrefix, events)
})

async function all(source: EventSource, signal = new AbortController().signal): Promise<PlacedEvent[]> {
  const found: PlacedEvent[] = []
  for await (const chunk of source.chunks(signal)) found.push(...chunk)
  return found
}

/** Events in the order of their partitions, which is all that a source promises. */
const byPlace = (found: readonly { recorded: RecordedEvent }[]) =>
  Array.from({ length: topics['annals.payments'].partitions }, (_, partition) =>
    found
      // When the log recorded it, the topics do not tell.
      .map(({ recorded }) => ({ ...recorded, createdAt: undefined }))
      .filter(({ stream }) => placeOf(stream)!.partition === partition),
  )

describe.each([
  [
    'the log',
    (until?: bigint) =>
      logSource(own.log, names, until === undefined ? undefined : { kind: 'position', position: until }),
  ],
  ['the topics', (until?: bigint) => kafkaSource(names, { brokers, log: silent, topicPrefix, until })],
] as const)('%s as a source', (_, open) => {
  it('hands out every event once, in order within its partition, and ends', async () => {
    const found = await all(open())
    expect(byPlace(found)).toEqual(byPlace(events.map((recorded) => ({ recorded }))))
    for (const { place, partition, recorded } of found)
      expect(place).toBe(`${placeOf(recorded.stream)!.topic}/${partition}`)
  })

  it('hands out nothing beyond a position, and that position itself', async () => {
    const found = await all(open(middle))
    const wanted = events.filter(({ position }) => position <= middle)
    expect(wanted.length).toBeLessThan(events.length)
    expect(byPlace(found)).toEqual(byPlace(wanted.map((recorded) => ({ recorded }))))
  })

  it('ends with an error when it is told to', async () => {
    const interruption = new AbortController()
    interruption.abort()
    await expect(all(open(), interruption.signal)).rejects.toThrow(/abort/)
  })
})

describe('the topics', () => {
  it('are refused when records were deleted', async () => {
    const prefix = `${uniqueName('test.cut')}.`
    await publish(prefix, events)
    const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const topic = `${prefix}annals.payments`
    const { partition } = placeOf(events[0]!.stream)!
    // The library finds the leaders of topics that were asked about before.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: '2' }] })
    await admin.disconnect()
    const cut = await all(kafkaSource(names, { brokers, log: silent, topicPrefix: prefix })).catch((error) => error)
    expect(cut).toBeInstanceOf(TopicsIncomplete)
    expect(cut.message).toMatch(/begins at offset 2: older records were deleted/)
    expect(exitCodeOf(cut)).toBe(exitCodes.stopped)
  })

  it('are refused when they are not there', async () => {
    const nowhere = kafkaSource(names, { brokers, log: silent, topicPrefix: `${uniqueName('test.none')}.` })
    await expect(all(nowhere)).rejects.toThrow(/there is no topic/)
  })
})
