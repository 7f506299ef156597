import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { pino } from 'pino'
import {
  createConsumer,
  createPublisher,
  createTopics,
  Fenced,
  type CheckpointedPublisher,
  type IncomingRecord,
  type OutgoingRecord,
} from '@annals/platform/kafka'
import { eventually, requireEnv, uniqueName } from '@annals/platform/testing'

const brokers = requireEnv('KAFKA_BROKERS').split(',')
const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' })
const common = { brokers, clientId: 'test', log }

// Each of these waits for facts on a real broker; on a busy machine that takes its time.
jest.setTimeout(90_000)

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

interface Place {
  topic: string
  transactionalId: string
  checkpoint: { groupId: string; topic: string }
}

async function place(partitions: number): Promise<Place> {
  const topic = uniqueName('test.publisher')
  const checkpoint = { groupId: uniqueName('test.publisher.group'), topic: `${topic}.checkpoint` }
  const specs = [
    { topic, partitions },
    { topic: checkpoint.topic, partitions: 1 },
  ]
  await createTopics(common).ensure(specs, 1)
  return { topic, transactionalId: uniqueName('test.publisher.tx'), checkpoint }
}

function publisherAt({ transactionalId, checkpoint }: Place): CheckpointedPublisher {
  const publisher = createPublisher({ ...common, transactionalId, checkpoint })
  opened.push(() => publisher.close())
  return publisher
}

/** Everything committed on a topic, by partition, as a reader of committed transactions gets it. */
async function reading({ topic }: Place) {
  const read = new Map<number, IncomingRecord[]>()
  const consumer = createConsumer({
    ...common,
    groupId: uniqueName('group'),
    topics: [topic],
    onFatal: () => undefined,
  })
  opened.push(() => consumer.stop())
  await consumer.run({
    positions: async (assigned) => assigned.map(() => undefined),
    handle: async ({ partition, records }) => {
      read.set(partition, [...(read.get(partition) ?? []), ...records])
      return { kind: 'done' }
    },
  })
  return (partition: number) => (read.get(partition) ?? []).map(({ value }) => value?.toString() ?? null)
}

const record = (topic: string, partition: number, value: string): OutgoingRecord => ({
  topic,
  partition,
  key: `stream-${partition}`,
  value,
  headers: { ce_id: value, 'content-type': 'application/json' },
  timestamp: '1700000000000',
})

describe('a checkpointed publisher', () => {
  it('commits records and position together, and finds the position again', async () => {
    const at = await place(3)
    const first = publisherAt(at)
    expect(await first.takeOver()).toBeUndefined()
    await first.publish([], -1n)
    expect(await first.committed()).toMatchObject({ position: -1n })
    await first.publish([record(at.topic, 0, 'a'), record(at.topic, 2, 'b'), record(at.topic, 0, 'c')], 41n)
    await first.close()

    const second = publisherAt(at)
    expect(await second.committed()).toMatchObject({ position: 41n })
    expect(await second.takeOver()).toMatchObject({ position: 41n })
    await second.publish([record(at.topic, 0, 'd')], 42n)
    const valuesOf = await reading(at)
    await eventually(() => expect([0, 1, 2].map(valuesOf)).toEqual([['a', 'c', 'd'], [], ['b']]))
  })

  it('holds the log position of any size, and 0', async () => {
    const at = await place(1)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    await publisher.publish([], 0n)
    expect(await publisher.takeOver()).toMatchObject({ position: 0n })
    await publisher.publish([], 9_000_000_000_000_000_000n)
    expect(await publisher.takeOver()).toMatchObject({ position: 9_000_000_000_000_000_000n })
  })

  it('keeps key, headers, text beyond ASCII and the time of the fact', async () => {
    const at = await place(1)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    const sent = [
      {
        ...record(at.topic, 0, '{"name":"Zoë 🜁"}'),
        headers: { ce_name: 'grüße', empty: '' },
        timestamp: '1700000005000',
      },
      { ...record(at.topic, 0, ''), timestamp: '1600000000000' },
      { ...record(at.topic, 0, 'x'.repeat(200_000)), timestamp: '0' },
    ]
    await publisher.publish(sent, 1n)
    const records: IncomingRecord[] = []
    const consumer = createConsumer({
      ...common,
      groupId: uniqueName('group'),
      topics: [at.topic],
      onFatal: () => undefined,
    })
    opened.push(() => consumer.stop())
    await consumer.run({
      positions: async () => [undefined],
      handle: async (batch) => {
        records.push(...batch.records)
        return { kind: 'done' }
      },
    })
    await eventually(() => expect(records.length).toBe(3))
    for (const [i, { key, value, headers, timestamp }] of sent.entries()) {
      const names = Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text!)]))
      expect(records[i]).toEqual({
        offset: BigInt(i),
        key,
        value: Buffer.from(value!),
        headers: names,
        timestamp: Number(timestamp),
      })
    }
  })

  it('splits what is too large for one batch, and keeps the order', async () => {
    const at = await place(2)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    const large = 'x'.repeat(100_000)
    const records = Array.from({ length: 60 }, (_, i) => record(at.topic, i % 2, `${i}:${large}`))
    await publisher.publish(records, 60n)
    const valuesOf = await reading(at)
    await eventually(() => expect(valuesOf(0).length + valuesOf(1).length).toBe(60))
    for (const partition of [0, 1])
      expect(valuesOf(partition).map((value) => Number(value?.split(':')[0]))).toEqual(
        Array.from({ length: 30 }, (_, i) => i * 2 + partition),
      )
  })

  it('commits one transaction right after the other, over a hundred', async () => {
    const at = await place(6)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    for (let i = 0; i < 120; i++) await publisher.publish([record(at.topic, i % 6, String(i))], BigInt(i))
    const valuesOf = await reading(at)
    await eventually(() =>
      expect([0, 1, 2, 3, 4, 5].map((partition) => valuesOf(partition).length)).toEqual([20, 20, 20, 20, 20, 20]),
    )
    expect(valuesOf(5)).toEqual(Array.from({ length: 20 }, (_, i) => String(i * 6 + 5)))
  })

  it('is fenced by the one that takes over, and what it had open is never read', async () => {
    const at = await place(1)
    const former = publisherAt(at)
    await former.takeOver()
    await former.publish([record(at.topic, 0, 'a')], 1n)
    const successor = publisherAt(at)
    expect(await successor.takeOver()).toMatchObject({ position: 1n })
    await expect(former.publish([record(at.topic, 0, 'stale')], 2n)).rejects.toBeInstanceOf(Fenced)
    // A fenced session is gone; it does not come back by trying.
    await expect(former.publish([record(at.topic, 0, 'stale')], 2n)).rejects.toThrow(/takeOver/)
    await successor.publish([record(at.topic, 0, 'b')], 2n)
    const valuesOf = await reading(at)
    await eventually(() => expect(valuesOf(0)).toEqual(['a', 'b']))
  })

  it('loses and doubles nothing over takeovers in the middle of commits', async () => {
    const at = await place(3)
    let publisher = publisherAt(at)
    await publisher.takeOver()
    await publisher.publish([], -1n)
    let takeovers = 0
    for (let next = 0n; next < 250n;) {
      const records = [0, 1, 2].map((partition) => record(at.topic, partition, String(next)))
      const publishing = publisher.publish(records, next)
      if (next % 10n !== 9n) {
        await publishing
        next++
        continue
      }
      // A second relay comes at some moment of this transaction; whether it was committed, the position tells.
      const settled = publishing.then(
        () => 'done',
        (error: unknown) => error,
      )
      await new Promise((resolve) => setTimeout(resolve, Number(next % 7n)))
      const successor = publisherAt(at)
      const position = (await successor.takeOver())?.position
      const result = await settled
      if (result !== 'done') expect(result).toBeInstanceOf(Error)
      else expect(position).toBe(next)
      expect([next - 1n, next]).toContain(position)
      await publisher.close()
      publisher = successor
      takeovers++
      next = position! + 1n
    }
    expect(takeovers).toBeGreaterThanOrEqual(25)
    const valuesOf = await reading(at)
    const expected = Array.from({ length: 250 }, (_, i) => String(i))
    await eventually(() => expect(valuesOf(0).length).toBeGreaterThanOrEqual(250))
    for (const partition of [0, 1, 2]) expect(valuesOf(partition)).toEqual(expected)
  })

  it('keeps beside the position what is made of where the records lie, and publishes nothing when that throws', async () => {
    const at = await place(2)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    const records = [record(at.topic, 1, 'a'), record(at.topic, 0, 'b'), record(at.topic, 1, 'c')]
    const describe = (written: readonly { partition: number; firstOffset: bigint; nextOffset: bigint }[]) =>
      written.map(({ partition, firstOffset, nextOffset }) => `${partition}:${firstOffset}-${nextOffset}`).join()
    await publisher.publish(records, 1n, describe)
    expect(await publisher.committed()).toEqual({ position: 1n, metadata: '1:0-2,0:0-1' })

    const refused = publisher.publish([record(at.topic, 0, 'never')], 2n, () => {
      throw new RangeError('no')
    })
    await expect(refused).rejects.toThrow(RangeError)
    expect(await publisher.takeOver()).toEqual({ position: 1n, metadata: '1:0-2,0:0-1' })
    await publisher.publish([record(at.topic, 0, 'd')], 2n)
    const valuesOf = await reading(at)
    await eventually(() =>
      expect([0, 1].map(valuesOf)).toEqual([
        ['b', 'd'],
        ['a', 'c'],
      ]),
    )
  })

  it('moves the position of another publisher in its own transaction, or neither', async () => {
    const [at, other] = [await place(1), await place(1)]
    const beside = { ...other, checkpoint: { ...other.checkpoint, topic: at.checkpoint.topic } }
    const publisher = publisherAt(at)
    await publisher.takeOver()
    const { groupId } = beside.checkpoint
    await publisher.publish([record(at.topic, 0, 'a')], 1n, undefined, [{ groupId, position: 7n, metadata: 'seven' }])
    expect(await publisherAt(beside).takeOver()).toEqual({ position: 7n, metadata: 'seven' })

    const successor = publisherAt(at)
    await successor.takeOver()
    const refused = publisher.publish([], 2n, undefined, [{ groupId, position: 8n, metadata: '' }])
    await expect(refused).rejects.toBeInstanceOf(Fenced)
    expect(await publisherAt(beside).committed()).toMatchObject({ position: 7n })
    expect(await successor.committed()).toMatchObject({ position: 1n })
  })

  it('publishes a record without a value', async () => {
    const at = await place(1)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    await publisher.publish([{ ...record(at.topic, 0, ''), value: null }, record(at.topic, 0, 'b')], 1n)
    const valuesOf = await reading(at)
    await eventually(() => expect(valuesOf(0)).toEqual([null, 'b']))
  })

  it('refuses a position behind the committed one', async () => {
    const at = await place(1)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    await publisher.publish([], 10n)
    await expect(publisher.publish([record(at.topic, 0, 'x')], 9n)).rejects.toBeInstanceOf(RangeError)
  })

  it('says what is wrong when a topic is not there, and works again after taking over anew', async () => {
    const at = await place(1)
    const publisher = publisherAt(at)
    await publisher.takeOver()
    await expect(publisher.publish([record('test.no.such.topic', 0, 'x')], 1n)).rejects.toThrow(/topic/i)
    expect(await publisher.takeOver()).toBeUndefined()
    await publisher.publish([record(at.topic, 0, 'x')], 1n)
    expect(await publisher.committed()).toMatchObject({ position: 1n })
  })
})
