import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { placeOf, toCloudEvent, topicNames, topics, type RecordedEvent } from '@annals/contracts'
import { createPublisher, createTopics, type CheckpointedPublisher } from '@annals/platform/kafka'
import { createMetrics } from '@annals/platform/metrics'
import { eventually, requireEnv, uniqueName } from '@annals/platform/testing'
import { tablesOf } from '../../src/engine/generation'
import { activity, payments, paymentTotals } from '../../src/projections'
import { createHealer } from '@annals/platform/healing'
import { createProjector, type Projector, type ProjectorOptions } from '../../src/projector/projector'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { createTestDatabase, silent, type TestDatabase } from '../support/database'
import { aPayment, opensNothing, paymentFacts } from '../support/facts'
import { openOwnLog } from '../support/own-log'
import { rebuildDependencies } from '../support/own-world'
import { nobody } from '../support/read-models'

// Joining groups takes seconds, on a busy machine many.
jest.setTimeout(120_000)
const withinMs = 60_000

const brokers = requireEnv('KAFKA_BROKERS').split(',')
const three = [payments, paymentTotals, activity]

let database: TestDatabase
let prefix: string
let publisher: CheckpointedPublisher
let position: bigint
const running: Projector[] = []

beforeEach(async () => {
  database = await createTestDatabase()
  prefix = `${uniqueName('test.projector')}.`
  const admin = createTopics({ brokers, clientId: 'test', log: silent })
  const specs = topicNames.map((topic) => ({ topic: `${prefix}${topic}`, partitions: topics[topic].partitions }))
  const checkpoint = `${prefix}checkpoint`
  await admin.ensure([...specs, { topic: checkpoint, partitions: 1 }], 1)
  await admin.close()
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
  await database.drop()
})

async function startProjector(healerOf?: ProjectorOptions['healerOf']): Promise<Projector> {
  const projector = createProjector({
    projections: three,
    brokers,
    pool: database.pool,
    openAll: opensNothing,
    log: silent,
    metrics: createMetrics('test'),
    observerOf: () => nobody,
    onFatal: () => undefined,
    healerOf,
    groupOf: (name) => `${prefix}${name}`,
    topicPrefix: prefix,
  })
  running.push(projector)
  await projector.start()
  return projector
}

async function publish(events: readonly RecordedEvent[]): Promise<void> {
  const records = events.map((event) => {
    const { topic, partition } = placeOf(event.stream)!
    const { key, value, headers, timestamp } = toCloudEvent(event)
    return { topic: `${prefix}${topic}`, partition, key, value, headers, timestamp }
  })
  position += BigInt(events.length)
  await publisher.publish(records, position)
}

const factsOf = (count: number, from: bigint) =>
  Array.from({ length: count }, (_, i) => paymentFacts(aPayment(), from + BigInt(3 * i))).flat()

/** Events seen, by the revisions of each projection's streams. */
async function seen(): Promise<number[]> {
  return Promise.all(
    three.map(async (projection) => {
      const { rows } = await database.pool.query(
        `select coalesce(sum(revision + 1), 0) as seen from ${tablesOf(projection, 'live').stream}`,
      )
      return Number(rows[0].seen)
    }),
  )
}

async function completed(): Promise<number> {
  const { rows } = await database.pool.query(
    'select coalesce(sum(completed_count), 0) as n from payment_totals.payment_total',
  )
  return Number(rows[0].n)
}

describe('the projector', () => {
  it('applies what the topics hold, once, whatever instances come and go and whatever comes twice', async () => {
    const first = factsOf(100, 1n)
    await publish(first)
    const one = await startProjector()
    await eventually(async () => expect(await seen()).toEqual([300, 300, 300]), { withinMs })

    const two = startProjector()
    const second = factsOf(100, 1_000n)
    await publish(second)
    await two
    await one.stop()
    // As a relay would that had lost its checkpoint: everything again, behind what is there.
    await publish([...first, ...second])
    const third = factsOf(50, 5_000n)
    await publish(third)
    await eventually(async () => expect(await seen()).toEqual([750, 750, 750]), { withinMs })
    expect(await completed()).toBe(250)
    const { rows } = await database.pool.query('select count(*) as n from activity.activity')
    expect(rows[0].n).toBe(500n)
  })

  it('goes on over a swap without a fact lost or doubled', async () => {
    const own = await openOwnLog()
    try {
      await startProjector()
      const { events } = await own.pay(30)
      await publish(events)
      await eventually(async () => expect(await seen()).toEqual([90, 90, 90]), { withinMs })
      const rebuilding = rebuildAll([payments, paymentTotals], rebuildDependencies({ database, own }))
      for (let i = 0; i < 5; i++) await publish((await own.pay(4)).events)
      await rebuilding
      await publish((await own.pay(4)).events)
      await eventually(async () => expect(await seen()).toEqual([162, 162, 162]), { withinMs })
      expect(await completed()).toBe(54)
    } finally {
      await own.close()
    }
  })

  it('reads from the log what Kafka did not bring, and holds nothing up', async () => {
    const own = await openOwnLog()
    try {
      const outcomes: string[] = []
      const projector = await startProjector((projection, log) =>
        createHealer({ eventLog: own.log, log, onOutcome: (outcome) => outcomes.push(`${projection} ${outcome}`) }),
      )
      const { events } = await own.pay(4)
      await publish(events.filter((_, i) => i !== 4))
      await eventually(async () => expect(await seen()).toEqual([12, 12, 12]), { withinMs })
      expect(await completed()).toBe(4)
      expect(outcomes.toSorted()).toEqual(['activity healed', 'payment_totals healed', 'payments healed'])
      expect(projector.assigned().filter(({ waiting }) => waiting)).toEqual([])
    } finally {
      await own.close()
    }
  })

  it('is told to be behind while a partition waits, and others flow', async () => {
    const projector = await startProjector()
    const [created, , processed] = paymentFacts(aPayment(), 1n) as [RecordedEvent, RecordedEvent, RecordedEvent]
    await publish([created, processed])
    const waiting = await eventually(
      () => {
        const found = projector.assigned().filter((place) => place.waiting?.includes('revision 2 came after 0'))
        expect(found).toHaveLength(3)
        return found
      },
      { withinMs },
    )
    const { partition } = placeOf(created.stream)!
    expect(new Set(waiting.map((place) => place.partition))).toEqual(new Set([partition]))

    const elsewhere = factsOf(60, 100n).filter(({ stream }) => placeOf(stream)!.partition !== partition)
    await publish(elsewhere)
    await eventually(async () => expect(await seen()).toEqual(Array(3).fill(1 + elsewhere.length)), { withinMs })
  })
})
