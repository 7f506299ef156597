import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { AssignerProtocol, Kafka, KafkaJSNonRetriableError, logLevel, type Admin, type Producer } from 'kafkajs'
import Cluster from 'kafkajs/src/cluster'
import { pino } from 'pino'
import {
  createConsumer,
  createTopics,
  recordMark,
  type BatchOutcome,
  type ConsumerOptions,
  type IncomingBatch,
  type PartitionedConsumer,
  type PartitionHandler,
  type ReadingPlace,
} from '@annals/platform/kafka'
import { createMetrics, type Registry } from '@annals/platform/metrics'
import { eventually, requireEnv, uniqueName } from '@annals/platform/testing'
import { withBroker } from '../../src/kafka/cluster'

const brokers = requireEnv('KAFKA_BROKERS').split(',')
const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' })
const kafka = new Kafka({ brokers, clientId: 'test', logLevel: logLevel.NOTHING })

// Each of these waits for facts on a real broker; on a busy machine that takes its time.
jest.setTimeout(90_000)

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function administrate<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

const topics = createTopics({ brokers, clientId: 'test', log })

async function topicWith(partitions: number) {
  const topic = uniqueName('test.consumer')
  await topics.ensure([{ topic, partitions }], 1)
  opened.push(() => administrate((admin) => admin.deleteTopics({ topics: [topic] })))
  return topic
}

/** As retention does. */
const deleteRecords = (topic: string, below: number) =>
  administrate(async (admin) => {
    // The library has to know the topic first.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(below) }] })
  })

/** What a check says when a minute has passed, in which brokers have answered. */
async function aMinuteLater(check: () => Promise<void>): Promise<void> {
  const now = Date.now.bind(Date)
  const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() + 61_000)
  try {
    await eventually(check)
  } finally {
    clock.mockRestore()
  }
}

/** Deletes a topic and makes it anew under its name. */
async function makeAnew(topic: string, partitions: number) {
  await administrate((admin) => admin.deleteTopics({ topics: [topic] }))
  // Until it is gone it is there, or is refused.
  await eventually(async () => expect((await topics.ids([topic])).size).toBe(0))
  await eventually(() => topics.ensure([{ topic, partitions }], 1))
}

async function producer(transactionalId?: string): Promise<Producer> {
  const made = kafka.producer({
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
    ...(transactionalId ? { transactionalId } : {}),
  })
  await made.connect()
  opened.push(() => made.disconnect())
  return made
}

const messages = (partition: number, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    partition,
    key: `key-${partition}`,
    value: String(from + i),
    headers: { n: String(from + i) },
  }))

/** The place that a service keeps once it has handled a batch. */
const placeAfter = ({ nextOffset, topicId, records }: IncomingBatch): ReadingPlace => {
  const last = records.at(-1)!
  return { nextOffset, topicId, last: { offset: last.offset, mark: recordMark(last) } }
}

/** A reader that keeps its positions and what it applied in memory, as a service keeps them in its database. */
function reader(handle?: (batch: IncomingBatch) => BatchOutcome | undefined | Promise<BatchOutcome | undefined>) {
  const positions = new Map<string, ReadingPlace>()
  const seen = new Map<string, number[]>()
  const reasons: string[] = []
  const batches: IncomingBatch[] = []
  const keyOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
  return {
    positions,
    seen,
    reasons,
    batches,
    valuesOf: (topic: string, partition: number) => seen.get(`${topic}/${partition}`) ?? [],
    handler: {
      positions: async (assigned: readonly { topic: string; partition: number }[]) =>
        assigned.map((place) => positions.get(keyOf(place))),
      handle: async (batch: IncomingBatch): Promise<BatchOutcome> => {
        batches.push(batch)
        const outcome = await handle?.(batch)
        if (outcome && outcome.kind !== 'done') return outcome
        const values = batch.records.map(({ value }) => Number(value))
        // What a database does in one transaction: rows and position, or nothing.
        seen.set(keyOf(batch), [...(seen.get(keyOf(batch)) ?? []), ...values])
        positions.set(keyOf(batch), placeAfter(batch))
        return { kind: 'done' }
      },
    },
  }
}

async function consume(
  topic: string,
  groupId: string,
  who: ReturnType<typeof reader>,
  over: Partial<ConsumerOptions> = {},
): Promise<PartitionedConsumer> {
  const consumer = createConsumer({
    brokers,
    clientId: 'test',
    groupId,
    topics: [topic],
    log,
    onFatal: (error) => {
      throw error
    },
    ...over,
  })
  opened.push(() => consumer.stop())
  await consumer.run(who.handler)
  return consumer
}

/** How often partitions were begun again, by reason. */
async function restarts(metrics: Registry): Promise<Record<string, number>> {
  const { values } = await metrics.getSingleMetric('annals_consumer_restarted_partitions_total')!.get()
  return Object.fromEntries(
    values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels['reason'], value]),
  )
}

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

describe('a partitioned consumer', () => {
  it('hands over records in order with key, headers and the offset at which reading goes on', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 3) })
    const who = reader()
    const consumer = await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(3)))
    const [batch] = who.batches
    expect(batch).toMatchObject({ topic, partition: 0, nextOffset: 3n, highWatermark: 3n })
    expect(batch!.records[1]).toMatchObject({ offset: 1n, key: 'key-0', headers: { n: Buffer.from('1') } })
    expect(consumer.assigned()).toEqual([{ topic, partition: 0 }])
  })

  it('goes on where the handler says its effects stand, and not where Kafka would', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 10) })
    const who = reader()
    who.positions.set(`${topic}/0`, { nextOffset: 7n })
    await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([7, 8, 9]))
  })

  it('does not see what was aborted, and steps over the markers of transactions', async () => {
    const topic = await topicWith(1)
    const send = await producer(uniqueName('tx'))
    for (const [from, ends] of [
      [0, 'commit'],
      [2, 'abort'],
      [4, 'commit'],
      [6, 'abort'],
    ] as const) {
      const transaction = await send.transaction()
      await transaction.send({ topic, messages: messages(0, from, 2) })
      await transaction[ends]()
    }
    const who = reader()
    await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0, 1, 4, 5]))
    // 8 records and 4 markers; the two last records and their marker are behind a batch that held nothing for us.
    expect(who.positions.get(`${topic}/0`)?.nextOffset).toBeGreaterThanOrEqual(9n)
    const last = await send.transaction()
    await last.send({ topic, messages: messages(0, 8, 1) })
    await last.commit()
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0, 1, 4, 5, 8]))
    expect(who.positions.get(`${topic}/0`)?.nextOffset).toBe(14n)
  })

  it('lets one partition wait and go on at the record it names, while the others flow', async () => {
    const topic = await topicWith(2)
    const send = await producer()
    await send.send({ topic, messages: [...messages(0, 0, 4), ...messages(1, 0, 4)] })
    let refusals = 0
    const who = reader((batch) => {
      if (refusals > 0 || batch.partition !== 0) return undefined
      refusals++
      return { kind: 'wait', waitMs: 2_000, reason: 'not yet', resumeAt: batch.records[2]!.offset }
    })
    const consumer = await consume(topic, uniqueName('group'), who)
    await eventually(() =>
      expect(consumer.assigned().find(({ partition }) => partition === 0)?.waiting).toBe('not yet'),
    )
    await send.send({ topic, messages: messages(1, 4, 1) })
    await eventually(() => expect(who.valuesOf(topic, 1)).toEqual(upTo(5)))
    expect(who.valuesOf(topic, 0)).toEqual([])
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([2, 3]))
    expect(consumer.assigned().every(({ waiting }) => waiting === undefined)).toBe(true)
  })

  it('hands a batch over again after the handler threw', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 5) })
    let thrown = 0
    const who = reader(() => {
      if (thrown++ < 2) throw new TypeError('the database is gone')
      return undefined
    })
    const consumer = await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(consumer.assigned()[0]?.waiting).toBe('TypeError: the database is gone'))
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(5)))
    expect(thrown).toBeGreaterThanOrEqual(3)
  })

  it('reads the position again and goes there when the handler asks for it', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 6) })
    let asked = false
    const who = reader(() => {
      if (asked) return undefined
      asked = true
      // Another instance has come further.
      who.positions.set(`${topic}/0`, { nextOffset: 4n })
      return { kind: 'reposition' }
    })
    await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([4, 5]))
  })

  it('stands still, and says why, when records are gone that were never read, and skips nothing afterwards', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 6) })
    await deleteRecords(topic, 4)
    const who = reader()
    who.positions.set(`${topic}/0`, { nextOffset: 2n })
    const consumer = await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(consumer.assigned()[0]?.waiting).toMatch(/begins at 4: records are missing/))
    await send.send({ topic, messages: messages(0, 6, 4) })
    // Another of the group reads what there is, so that it would have come here, too.
    const other = reader()
    await consume(topic, uniqueName('group'), other)
    await eventually(() => expect(other.valuesOf(topic, 0)).toEqual([4, 5, 6, 7, 8, 9]))
    expect(who.batches).toEqual([])
    await aMinuteLater(() => expect(consumer.check()).rejects.toThrow(/got nowhere in .*records are missing/))
  })

  it.each([
    ['fewer', 3],
    ['more', 12],
  ])('reads a topic that was made anew, with %s records than it had, from its first record', async (_, count) => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 6) })
    const who = reader()
    const groupId = uniqueName('group')
    const first = await consume(topic, groupId, who)
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(6)))
    await first.stop()
    await makeAnew(topic, 1)
    await (await producer()).send({ topic, messages: messages(0, 100, count) })
    const metrics = createMetrics('test')
    await consume(topic, groupId, who, { metrics })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([...upTo(6), ...upTo(count, 100)]))
    expect(await restarts(metrics)).toEqual({ 'topic-made-anew': 1 })
  })

  it('notices while it reads that a topic was made anew, and misses nothing of it nor of the others', async () => {
    const [topic, other] = [await topicWith(2), await topicWith(1)]
    const send = await producer()
    await send.send({ topic, messages: [...messages(0, 0, 6), ...messages(1, 0, 2)] })
    const who = reader()
    const metrics = createMetrics('test')
    await consume(topic, uniqueName('group'), who, { topics: [topic, other], metrics, recheckMs: 500 })
    await eventually(() => {
      expect(who.valuesOf(topic, 0)).toEqual(upTo(6))
      expect(who.valuesOf(topic, 1)).toEqual(upTo(2))
    })
    await makeAnew(topic, 2)
    const anew = await producer()
    // More than it had, so that no offset lies beyond its end.
    await anew.send({ topic, messages: [...messages(0, 100, 12), ...messages(1, 100, 1)] })
    await anew.send({ topic: other, messages: messages(0, 0, 3) })
    await eventually(
      () => {
        expect(who.valuesOf(topic, 0)).toEqual(expect.arrayContaining(upTo(12, 100)))
        expect(who.valuesOf(topic, 1)).toEqual(expect.arrayContaining([100]))
        expect(who.valuesOf(other, 0)).toEqual(upTo(3))
      },
      { withinMs: 30_000 },
    )
    expect((await restarts(metrics))['topic-made-anew']).toBeGreaterThanOrEqual(2)
  })

  it('notices by its id that a topic is another, while neither fetches nor the group tell', async () => {
    const topic = await topicWith(1)
    await (await producer()).send({ topic, messages: messages(0, 0, 6) })
    let waits = 0
    // A partition that waits is not fetched, and when it goes on the topic has grown beyond where it stood.
    const who = reader(({ records }) =>
      waits++ === 0 ? { kind: 'wait', waitMs: 60_000, reason: 'not yet', resumeAt: records[3]!.offset } : undefined,
    )
    const metrics = createMetrics('test')
    const consumer = await consume(topic, uniqueName('group'), who, { metrics, recheckMs: 300 })
    await eventually(() => expect(consumer.assigned()[0]?.waiting).toBe('not yet'))
    who.positions.set(`${topic}/0`, { nextOffset: 3n, topicId: (await topics.ids([topic])).get(topic)! })
    await makeAnew(topic, 1)
    await (await producer()).send({ topic, messages: messages(0, 100, 12) })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(12, 100)))
    expect(await restarts(metrics)).toEqual({ 'topic-made-anew': 1 })
  })

  it('reads from the first record again when the record it read last is not there as it was', async () => {
    const topic = await topicWith(1)
    await (await producer()).send({ topic, messages: messages(0, 0, 6) })
    const topicId = (await topics.ids([topic])).get(topic)!
    const who = reader()
    who.positions.set(`${topic}/0`, { nextOffset: 4n, topicId, last: { offset: 3n, mark: 'an event of another log' } })
    const metrics = createMetrics('test')
    await consume(topic, uniqueName('group'), who, { metrics })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(6)))
    expect(await restarts(metrics)).toEqual({ 'other-content': 1 })
  })

  it('reads from the first record again when the partition ends before its place', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 3) })
    const who = reader()
    who.positions.set(`${topic}/0`, { nextOffset: 99n })
    const metrics = createMetrics('test')
    await consume(topic, uniqueName('group'), who, { metrics })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(3)))
    await send.send({ topic, messages: messages(0, 3, 120) })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(123)))
    expect(await restarts(metrics)).toEqual({ 'beyond-end': 1 })
  })

  it('asks for its place, and does not go to where Kafka would, when records are cut off under it', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 6) })
    const who = reader(async ({ records }) => {
      if (who.batches.length > 1) return undefined
      await deleteRecords(topic, 4)
      return { kind: 'wait', waitMs: 100, reason: 'not yet', resumeAt: records[0]!.offset }
    })
    who.positions.set(`${topic}/0`, { nextOffset: 1n })
    const consumer = await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(consumer.assigned()[0]?.waiting).toMatch(/at offset 1, .* begins at 4/))
    expect(who.valuesOf(topic, 0)).toEqual([])
  })

  it('goes on behind the record that it read last, also when only markers follow it', async () => {
    const topic = await topicWith(1)
    const send = await producer(uniqueName('tx'))
    const transact = async (from: number, ends: 'commit' | 'abort') => {
      const transaction = await send.transaction()
      await transaction.send({ topic, messages: messages(0, from, 2) })
      await transaction[ends]()
    }
    await transact(0, 'commit')
    await transact(2, 'abort')
    const who = reader()
    const groupId = uniqueName('group')
    const first = await consume(topic, groupId, who)
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0, 1]))
    await first.stop()
    const metrics = createMetrics('test')
    const second = await consume(topic, groupId, who, { metrics })
    await eventually(() => expect(second.assigned()).toEqual([{ topic, partition: 0 }]))
    await transact(4, 'commit')
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0, 1, 4, 5]))
    expect(await restarts(metrics)).toEqual({})
  })

  it('gives its membership up over a batch that takes too long, and the partition is placed anew', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 3) })
    const hung = reader(() => new Promise(() => undefined))
    const groupId = uniqueName('group')
    const consumer = await consume(topic, groupId, hung, { handleMsMax: 1_000 })
    await eventually(() => expect(hung.batches.length).toBe(1))
    const healthy = reader()
    await consume(topic, groupId, healthy)
    // It would join again and hang again; the one that works has to get its turn in between.
    await eventually(() => expect(healthy.valuesOf(topic, 0)).toEqual(upTo(3)), { withinMs: 40_000 })
    await consumer.stop()
  })

  it('joins again by itself after a batch that took too long', async () => {
    const topic = await topicWith(1)
    await (await producer()).send({ topic, messages: messages(0, 0, 3) })
    const who = reader(() => (who.batches.length === 1 ? new Promise(() => undefined) : undefined))
    const consumer = await consume(topic, uniqueName('group'), who, { handleMsMax: 1_000 })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(3)), { withinMs: 30_000 })
    await consumer.check()
  })

  it('is not ready while a partition with records gets nowhere, unless its handler wants it to wait', async () => {
    const topic = await topicWith(2)
    await (await producer()).send({ topic, messages: [...messages(0, 0, 1), ...messages(1, 0, 1)] })
    const failing = new Set([0])
    const who = reader(({ partition }) => {
      if (failing.has(partition)) throw new Error('the database is silent')
      return partition === 1 ? { kind: 'wait', waitMs: 100, reason: 'a newer release has to read it' } : undefined
    })
    const consumer = await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(new Set(who.batches.map(({ partition }) => partition))).toEqual(new Set([0, 1])))
    await eventually(() => expect(consumer.assigned().every(({ waiting }) => waiting)).toBe(true))
    await consumer.check()
    await aMinuteLater(() => expect(consumer.check()).rejects.toThrow(`got nowhere in ${topic}/0`))
    failing.clear()
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0]))
    await aMinuteLater(() => consumer.check())
  })

  it('notices that its position was set back, where nothing new arrives', async () => {
    const topic = await topicWith(2)
    await (await producer()).send({ topic, messages: [...messages(0, 0, 6), ...messages(1, 0, 2)] })
    const who = reader()
    await consume(topic, uniqueName('group'), who, { recheckMs: 300 })
    await eventually(() => {
      expect(who.valuesOf(topic, 0)).toEqual(upTo(6))
      expect(who.valuesOf(topic, 1)).toEqual(upTo(2))
    })
    // As a database does that is restored from an older backup: what was applied is gone, and the position with it.
    who.seen.set(`${topic}/0`, [0, 1])
    who.positions.set(`${topic}/0`, { ...who.positions.get(`${topic}/0`)!, nextOffset: 2n, last: undefined })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(6)))
    expect(who.valuesOf(topic, 1)).toEqual(upTo(2))
  })

  it('goes on from a position that was set back, though a batch came while that was looked at', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 6) })
    const who = reader()
    const place = `${topic}/0`
    /** What the handler takes for its position: as a service does, it refuses a batch where the database has another. */
    let expected: bigint | undefined
    let isSetBack = false
    let met = (): void => undefined
    const batchCame = new Promise<void>((resolve) => (met = resolve))
    const handler: PartitionHandler = {
      async positions(assigned) {
        const found = await who.handler.positions(assigned)
        expected = found[0]?.nextOffset
        return found
      },
      async look(places) {
        if (isSetBack || who.valuesOf(topic, 0).length < 6) return who.handler.positions(places)
        isSetBack = true
        who.seen.set(place, [0, 1])
        who.positions.set(place, { ...who.positions.get(place)!, nextOffset: 2n, last: undefined })
        await send.send({ topic, messages: messages(0, 6, 1) })
        await batchCame
        return who.handler.positions(places)
      },
      async handle(batch) {
        if (isSetBack) met()
        if (who.positions.get(place)?.nextOffset !== expected) return { kind: 'reposition' }
        const outcome = await who.handler.handle(batch)
        expected = who.positions.get(place)?.nextOffset
        return outcome
      },
    }
    await consume(topic, uniqueName('group'), { ...who, handler } as typeof who, { recheckMs: 300 })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual(upTo(7)))
  })

  it('waits for topics that do not exist yet', async () => {
    const topic = uniqueName('test.consumer.late')
    const who = reader()
    const running = consume(topic, uniqueName('group'), who)
    await topics.ensure([{ topic, partitions: 1 }], 1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 1) })
    await running
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0]))
  })

  it('keeps its membership while a handler works for longer than the session', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 1) })
    let calls = 0
    const who = reader(async () => {
      calls++
      await new Promise((resolve) => setTimeout(resolve, 8_000))
      return undefined
    })
    await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0]), { withinMs: 15_000 })
    await send.send({ topic, messages: messages(0, 1, 1) })
    await eventually(() => expect(who.valuesOf(topic, 0)).toEqual([0, 1]), { withinMs: 15_000 })
    expect(calls).toBe(2)
  })

  it('joins again when nobody coordinated the group for a while, which the library takes for final', async () => {
    const topic = await topicWith(1)
    await (await producer()).send({ topic, messages: messages(0, 0, 3) })
    const absent = jest.spyOn(Cluster.prototype, 'findGroupCoordinator')
    opened.push(async () => absent.mockRestore())
    const absence = () =>
      Object.assign(new KafkaJSNonRetriableError('nobody coordinates'), { name: 'KafkaJSGroupCoordinatorNotFound' })
    for (let time = 0; time < 2; time++) absent.mockRejectedValueOnce(absence())
    const who = reader()
    await consume(topic, uniqueName('test.group'), who)
    expect(absent.mock.calls.length).toBeGreaterThan(2)
    await eventually(async () => expect(who.valuesOf(topic, 0)).toEqual(upTo(3)))
  })

  it('keeps its membership while the leader of the group was killed between joining and dividing the partitions', async () => {
    const topic = await topicWith(2)
    const groupId = uniqueName('test.group')
    // Each joins and is not heard of again, as if it were killed there: whichever leads never says who reads what.
    const killed = () =>
      withBroker({ brokers, clientId: 'test', log }, async (coordinator) => {
        const groupProtocols = [
          {
            name: 'RoundRobinAssigner',
            metadata: AssignerProtocol.MemberMetadata.encode({
              version: 1,
              topics: [topic],
              userData: Buffer.alloc(0),
            }),
          },
        ]
        await coordinator.joinGroup({ groupId, sessionTimeout: 6_000, rebalanceTimeout: 30_000, groupProtocols })
      })
    // The first one alone makes a group; while that waits for it in vain, the others and the consumer join together.
    await killed()
    const others = Promise.all(upTo(6).map(killed))
    const said: string[] = []
    const hearing = pino({ level: 'warn' }, { write: (line: string) => void said.push(line) })
    await consume(topic, groupId, reader(), { log: hearing })
    await others
    expect(said.filter((line) => line.includes('fell out of the group'))).toEqual([])
  })

  it('ends the process when it is out for good', async () => {
    const topic = await topicWith(1)
    const ends: Error[] = []
    // A session of 100 ms is one that no broker grants: an error that no new attempt would change.
    const consumer = createConsumer({
      brokers,
      clientId: 'test',
      groupId: uniqueName('group'),
      topics: [topic],
      log,
      sessionTimeoutMs: 100,
      onFatal: (error) => ends.push(error),
    })
    opened.push(() => consumer.stop())
    await expect(consumer.run(reader().handler)).rejects.toThrow(/session timeout/)
    expect(ends.length).toBe(1)
  })

  it('measures what it handled, how far it lags and what waits', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 4) })
    const groupId = uniqueName('group')
    const metrics = createMetrics('test')
    let refuse = true
    const who = reader((batch) =>
      refuse ? { kind: 'wait', waitMs: 300, reason: 'not yet', resumeAt: batch.records[0]!.offset } : undefined,
    )
    const consumer = createConsumer({
      brokers,
      clientId: 'test',
      groupId,
      topics: [topic],
      log,
      metrics,
      onFatal: () => undefined,
    })
    opened.push(() => consumer.stop())
    await expect(consumer.check()).rejects.toThrow(`${groupId} has not been joined yet`)
    await consumer.run(who.handler)
    await consumer.check()
    const value = async (name: string) => (await metrics.getSingleMetric(name)!.get()).values[0]?.value
    await eventually(async () => expect(await value('annals_consumer_partition_waiting')).toBe(1))
    // Grows while the partition waits, whatever is fetched meanwhile.
    await eventually(async () => expect(await value('annals_consumer_lag_seconds')).toBeGreaterThan(1))
    expect(await value('annals_consumer_silent_seconds')).toBeLessThan(5)
    refuse = false
    await eventually(async () => expect(await value('annals_consumer_records_total')).toBe(4))
    await eventually(async () => expect(await value('annals_consumer_lag_records')).toBe(0))
    expect(await value('annals_consumer_partition_waiting')).toBe(0)
    expect(await value('annals_consumer_lag_seconds')).toBe(0)
    await consumer.stop()
    const silent = (await value('annals_consumer_silent_seconds'))!
    await eventually(async () => expect(await value('annals_consumer_silent_seconds')).toBeGreaterThan(silent + 1))
    await consumer.check()
    const aMinuteLater = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 61_000)
    await expect(consumer.check()).rejects.toThrow(`no broker has answered the group ${groupId}`)
    aMinuteLater.mockRestore()
  })

  it('ends after the batch in hand', async () => {
    const topic = await topicWith(1)
    const send = await producer()
    await send.send({ topic, messages: messages(0, 0, 1) })
    let begun = false
    const who = reader(async () => {
      begun = true
      await new Promise((resolve) => setTimeout(resolve, 500))
      return undefined
    })
    const consumer = await consume(topic, uniqueName('group'), who)
    await eventually(() => expect(begun).toBe(true))
    await consumer.stop()
    expect(who.valuesOf(topic, 0)).toEqual([0])
  })

  it('shares partitions between instances, and over joins and leaves nothing is lost or applied twice', async () => {
    const topic = await topicWith(6)
    const send = await producer()
    const groupId = uniqueName('group')
    const counts = [0, 0, 0, 0, 0, 0]
    // One memory for both, as one database would be; a batch that does not begin at the position is refused.
    const shared = reader((batch) => {
      const at = shared.positions.get(`${topic}/${batch.partition}`)?.nextOffset ?? 0n
      return batch.records[0]!.offset === at ? undefined : { kind: 'reposition' }
    })
    const sendSome = async () => {
      for (const partition of counts.keys()) {
        await send.send({ topic, messages: messages(partition, counts[partition]!, 50) })
        counts[partition]! += 50
      }
    }
    await sendSome()
    const first = await consume(topic, groupId, shared)
    await sendSome()
    const second = await consume(topic, groupId, shared)
    await eventually(
      () => {
        expect(first.assigned().length).toBe(3)
        expect(second.assigned().length).toBe(3)
      },
      { withinMs: 15_000 },
    )
    await sendSome()
    await first.stop()
    await sendSome()
    await eventually(() => expect(second.assigned().length).toBe(6), { withinMs: 15_000 })
    await sendSome()
    await eventually(
      () => {
        for (const partition of counts.keys())
          expect(shared.valuesOf(topic, partition)).toEqual(upTo(counts[partition]!))
      },
      { withinMs: 15_000 },
    )
  })
})
