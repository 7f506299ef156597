import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { RecordedEvent } from '@annals/contracts'
import { createEventLog, type EventLog, type LogEvent } from '@annals/platform/event-log'
import { createTopics } from '@annals/platform/kafka'
import { eventually, requireEnv, type TestEventStore } from '@annals/platform/testing'
import { logStateTable } from '../../src/engine/tables/log-state-table'
import { payments, paymentTotals } from '../../src/projections'
import { watchLog } from '../../src/projector/log-state'
import { requireTopicsOfLog } from '../../src/replay/rebuild/accept-log'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { silent } from '../support/database'
import { aPayment, opensNothing, paymentFacts } from '../support/facts'
import { useProjectorWorld } from '../support/projector-world'

jest.setTimeout(120_000)
const withinMs = 60_000

const fed = [payments, paymentTotals]
const world = useProjectorWorld(fed)

interface OwnStore {
  store: TestEventStore
  log: EventLog
}
async function openStore(): Promise<OwnStore> {
  const store = await world.scope.eventStore()
  return { store, log: world.scope.add(createEventLog(store.url, silent), (it) => it.close()) }
}

const factsOf = (count: number): RecordedEvent[] =>
  Array.from({ length: count }, () => paymentFacts(aPayment(), 0n)).flat()

/** @returns them as the log holds them. */
async function append(log: EventLog, events: readonly RecordedEvent[]): Promise<LogEvent[]> {
  const head = await log.head()
  for (const { stream, revision, id, type, data, metadata } of events)
    await log.append(stream, [{ id, type, data, metadata }], revision - 1)
  const found: LogEvent[] = []
  for await (const event of log.readAll({ after: head })) found.push(event)
  return found
}

const watchOf = (log: EventLog) => watchLog(fed, { pool: world.database.pool, eventLog: log, log: silent })
const stateOf = async () => (await world.database.pool.query(`select * from ${logStateTable}`)).rows[0]
const paymentRows = async () =>
  Number((await world.database.pool.query('select count(*) as n from payments.payment')).rows[0].n)

describe('a log that goes back', () => {
  let facts: RecordedEvent[]
  let newer: OwnStore
  let older: OwnStore
  beforeEach(async () => {
    facts = factsOf(6)
    newer = await openStore()
    older = await openStore()
    const events = await append(newer.log, facts)
    // A backup that was made when there were three of them.
    await append(older.log, facts.slice(0, 9))
    await world.publish(events)
    const projector = await world.startProjector({ logWatch: watchOf(newer.log) })
    await eventually(async () => expect(await world.seen()).toEqual([18, 18]), { withinMs })
    await projector.check()
    await projector.stop()
  })

  it('is refused, with words for what can be done, and nothing of it is applied', async () => {
    const later = await append(older.log, factsOf(3))
    await world.publish(later)
    const projector = await world.startProjector({ logWatch: watchOf(older.log) })
    await expect(projector.check()).rejects.toThrow(
      /is not the one .* Choose:[^]*npm run replay -- --all --accept-log\n/,
    )
    expect((await stateOf()).refusal).toMatch(/--accept-log/)
    await eventually(
      () => expect(projector.assigned().some(({ waiting }) => waiting === 'the event log is refused')).toBe(true),
      { withinMs },
    )
    expect(await world.seen()).toEqual([18, 18])
  })

  it('is refused also when it has grown beyond what was read, and when it is empty or another', async () => {
    await append(older.log, factsOf(20))
    const watch = watchOf(older.log)
    await watch.compare()
    expect(watch.refusal()).toMatch(/at position \d+ it held event/)
    const empty = watchOf((await openStore()).log)
    await empty.compare()
    expect(empty.refusal()).toMatch(/it is empty, and began with/)
    const other = await openStore()
    await append(other.log, factsOf(30))
    const another = watchOf(other.log)
    await another.compare()
    expect(another.refusal()).toMatch(/it begins with event/)
  })

  it('is noticed while the projector runs, and read on by itself when the newer one is back', async () => {
    let current = older.log
    const eventLog = { identity: () => current.identity(), eventAt: (at: bigint) => current.eventAt(at) }
    const projector = await world.startProjector({
      logWatch: watchLog(fed, { pool: world.database.pool, eventLog, log: silent }),
    })
    await expect(projector.check()).rejects.toThrow(/is not the one/)
    const more = await append(newer.log, factsOf(2))
    await world.publish(more)
    current = newer.log
    await eventually(async () => expect(await world.seen()).toEqual([24, 24]), { withinMs })
    await projector.check()
    expect(await stateOf()).toMatchObject({ refusal: null, identity: facts[0]!.id })
  })

  it('is compared as soon as a topic is seen to be made anew', async () => {
    let current = newer.log
    const eventLog = { identity: () => current.identity(), eventAt: (at: bigint) => current.eventAt(at) }
    const projector = await world.startProjector({
      logWatch: watchLog(fed, { pool: world.database.pool, eventLog, log: silent }),
    })
    await world.publish(await append(newer.log, factsOf(1)))
    await eventually(async () => expect(await world.seen()).toEqual([21, 21]), { withinMs })
    // The log goes back, and the relay is told to take it as it is: all within the 30 s until the next comparison.
    current = older.log
    const later = await append(older.log, factsOf(6))
    await world.makeAnew(['annals.payments'])
    const all: LogEvent[] = []
    for await (const event of older.log.readAll({ after: undefined })) all.push(event)
    expect(later.length).toBeGreaterThan(0)
    await world.publish(all)
    await eventually(() => expect(projector.check()).rejects.toThrow(/is not the one/), { withinMs })
    // What came of the new topic before its id was seen is applied, and no more: 18 more events wait.
    for (const seen of await world.seen()) expect(seen).toBeLessThan(39)
  })

  it('is taken as it is when the operator says so, behind the relay, and reading begins again', async () => {
    const projector = await world.startProjector({ logWatch: watchOf(older.log) })
    await expect(projector.check()).rejects.toThrow(/is not the one/)
    const kafka = createTopics({ brokers: requireEnv('KAFKA_BROKERS').split(','), clientId: 'test', log: silent })
    const prefixed = (names: readonly string[]) => names.map((name) => `${world.prefix}${name}`)
    const topics = {
      ids: async (names: readonly string[]) =>
        new Map([...(await kafka.ids(prefixed(names)))].map(([name, id]) => [name.slice(world.prefix.length), id])),
      offsets: (topic: string) => kafka.offsets(`${world.prefix}${topic}`),
    }
    await expect(requireTopicsOfLog(world.database.pool, fed, older.log, topics)).rejects.toThrow(
      /still holds event[^]*npm run relay -- --accept-log --delete-topics/,
    )
    await world.makeAnew(['annals.payments'])
    await requireTopicsOfLog(world.database.pool, fed, older.log, topics)

    const dependencies = {
      pool: world.database.pool,
      log: older.log,
      openAll: opensNothing,
      logger: silent,
      observer: { stage: () => undefined, progress: () => undefined },
      signal: new AbortController().signal,
    }
    await expect(rebuildAll(fed, dependencies)).rejects.toThrow(/rebuilt and live differ/)
    const rebuilt = await rebuildAll(fed, { ...dependencies, acceptLog: true })
    expect(rebuilt.map(({ swapped }) => swapped)).toEqual([true, true])
    expect(await paymentRows()).toBe(3)
    expect(await stateOf()).toMatchObject({ refusal: null, identity: facts[0]!.id })

    const more = await append(older.log, factsOf(2))
    const all: LogEvent[] = []
    for await (const event of older.log.readAll({ after: undefined })) all.push(event)
    expect(all.slice(9)).toEqual(more)
    await world.publish(all)
    await eventually(async () => expect(await world.seen()).toEqual([15, 15]), { withinMs })
    expect(await paymentRows()).toBe(5)
    await eventually(() => projector.check(), { withinMs })
  })
})
