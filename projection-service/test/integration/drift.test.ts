import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { EventStoreDBClient } from '@eventstore/db-client'
import { placeOf, type RecordedEvent } from '@annals/contracts'
import { requireEnv } from '@annals/platform/testing'
import type { Projection } from '../../src/engine/definition/projection'
import { parkedStreams } from '../../src/engine/parking/parked'
import { recordedActions } from '../../src/engine/parking/parked-actions'
import { NotPossible } from '../../src/engine/tables/stream-lock'
import { checkDrift } from '../../src/drift/check'
import { createDriftChecker } from '../../src/drift/checker'
import { refoldStream } from '../../src/drift/refold'
import { payments, paymentHistory, paymentTotals } from '../../src/projections'
import { checksumOf } from '../../src/replay/rebuild/checksum'
import { silent } from '../support/database'
import { opensNothing, type PaymentFacts } from '../support/facts'
import { useOwnWorld } from '../support/own-world'
import { createReadModels } from '../support/read-models'

jest.setTimeout(60_000)

const world = useOwnWorld()

const all: readonly Projection[] = [payments, paymentHistory, paymentTotals]
const deps = () => ({ pool: world.database.pool, log: world.own.log, openAll: opensNothing })
const sql = (text: string, values: unknown[] = []) => world.database.pool.query(text, values)
const refold = (projection: Projection, stream: string) => refoldStream(projection, stream, { ...deps(), actor: 'ada' })

/** A checker whose findings are kept. */
function checker(projections = all) {
  const counts = { checked: 0, found: 0, failed: 0 }
  const differing: Record<string, number> = {}
  const errors: Record<string, unknown>[] = []
  const warnings: Record<string, unknown>[] = []
  const logger = Object.assign(Object.create(silent) as typeof silent, {
    error: (facts: Record<string, unknown>) => errors.push(facts),
    warn: (facts: Record<string, unknown>) => warnings.push(facts),
  })
  const observer = {
    checked: () => void (counts.checked += 1),
    found: () => void (counts.found += 1),
    failed: () => void (counts.failed += 1),
    differing: (projection: string, streams: number) => void (differing[projection] = streams),
  }
  return { counts, differing, errors, warnings, ...createDriftChecker(projections, { ...deps(), logger, observer }) }
}

/** Whoever keeps the log, with a client of their own. */
let keeper: EventStoreDBClient
beforeAll(() => {
  keeper = EventStoreDBClient.connectionString(requireEnv('EVENTSTORE_URL'))
})
afterAll(() => keeper.dispose())

/** Feeds all read models with everything but one stream, on whose partition something later comes. */
async function lostWhole(paid: readonly PaymentFacts[], events: readonly RecordedEvent[]) {
  const partitionOf = (stream: string) => placeOf(stream)!.partition
  const { stream: lost } = paid.find(({ stream }) => {
    const last = events.findLastIndex((event) => event.stream === stream)
    return events
      .slice(last)
      .some((event) => event.stream !== stream && partitionOf(event.stream) === partitionOf(stream))
  })!
  const models = await createReadModels(world.database.pool, all)
  await models.feed(events.filter(({ stream }) => stream !== lost))
  return { lost, models }
}

describe('the drift checker', () => {
  it('finds a row that was changed and names row and columns, not values; and says when it is mended', async () => {
    const { payments: paid, events } = await world.own.pay(5)
    await (await createReadModels(world.database.pool, all)).feed(events)
    const { stream, paymentId } = paid[2]!
    await sql(`update payments.payment set amount_minor = 987654, status = 'failed' where payment_id = $1`, [paymentId])
    const check = checker()
    await check.round()
    await check.round()
    expect(check.differing).toEqual({ payments: 1, payment_history: 0, payment_totals: 0 })
    // Found once, however often it is seen.
    expect(check.counts.found).toBe(1)
    expect(check.errors).toEqual([
      { projection: 'payments', stream, row: paymentId, columns: ['status', 'amount_minor'] },
    ])
    expect(JSON.stringify(check.errors)).not.toContain('987654')

    expect(await refold(payments, stream)).toEqual({
      events: 3,
      mended: [{ key: paymentId, columns: ['status', 'amount_minor'] }],
      removed: 0,
      parked: 0,
    })
    await check.round()
    expect(check.differing).toEqual({ payments: 0, payment_history: 0, payment_totals: 0 })
  })

  it('finds a row that was deleted, of each grain that can be folded alone', async () => {
    const { payments: paid, events } = await world.own.pay(4)
    await (await createReadModels(world.database.pool, all)).feed(events)
    await sql('delete from payments.payment where payment_id = $1', [paid[0]!.paymentId])
    await sql('delete from payment_history.payment_event where event_id = $1', [events[4]!.id])
    const check = checker()
    await check.round()
    expect(check.errors).toEqual([
      { projection: 'payments', stream: paid[0]!.stream, row: paid[0]!.paymentId, columns: ['(the row is missing)'] },
      {
        projection: 'payment_history',
        stream: events[4]!.stream,
        row: events[4]!.id,
        columns: ['(the row is missing)'],
      },
    ])
  })

  it('finds an event that never came, although nothing came after it', async () => {
    const { payments: paid, events } = await world.own.pay(30)
    // Something later must have moved its partition's checkpoint past it: until then it may still come.
    const partitionOf = ({ stream }: { stream: string }) => placeOf(stream)!.partition
    const late = events.findLast(
      (event, i) =>
        event.revision === 2 && events.slice(i + 1).some((other) => partitionOf(other) === partitionOf(event)),
    )!
    await (await createReadModels(world.database.pool, [payments])).feed(events.filter((event) => event !== late))
    const check = await checkDrift(payments, 100, deps())
    expect(paid.map(({ stream }) => stream)).toContain(late.stream)
    expect(check.differing).toEqual([
      {
        stream: late.stream,
        differences: expect.arrayContaining([
          { key: late.stream, columns: ['(revision 1 was reached, the log says 2)'] },
        ]),
      },
    ])
    await refold(payments, late.stream)
    expect((await checkDrift(payments, 100, deps())).differing).toEqual([])
  })

  it('finds a stream that was lost as a whole, in read models of every grain', async () => {
    const { payments: paid, events } = await world.own.pay(60)
    const { lost, models } = await lostWhole(paid, events)
    const check = checker()
    // Once to the end of the log from a random place, once from its beginning; more where it is longer.
    await check.round()
    await check.round()
    expect(check.differing).toEqual({ payments: 1, payment_history: 1, payment_totals: 1 })
    const told = all.map(({ name }) => ({
      projection: name,
      stream: lost,
      row: lost,
      columns: ['(the stream is missing)'],
    }))
    expect(check.errors).toHaveLength(3)
    expect(check.errors).toEqual(expect.arrayContaining(told))

    for (const projection of all) {
      const { differing, walked } = await checkDrift(projection, 50, deps())
      expect(walked).toBe(events.length)
      expect(differing).toEqual([{ stream: lost, differences: [{ key: lost, columns: ['(the stream is missing)'] }] }])
    }

    const { mended } = await refold(payments, lost)
    expect(mended).toContainEqual({ key: lost, columns: ['(the stream is missing)'] })
    await refold(paymentHistory, lost)
    await check.round()
    expect(check.differing).toEqual({ payments: 0, payment_history: 0, payment_totals: 1 })
    for (const projection of [payments, paymentHistory])
      expect((await checkDrift(projection, 100, deps())).differing).toEqual([])
    const { rows } = await sql('select count(*) as n from payments.payment')
    expect(rows[0].n).toBe(60n)
    // What the projector brings of it after all is nothing new.
    await models.feed(events.filter(({ stream }) => stream === lost))
    for (const projection of all) expect((await checkDrift(projection, 100, deps())).differing).toEqual([])
  })

  it('finds one that is lost again and again while events flow, and only that', async () => {
    const { payments: paid, events } = await world.own.pay(40)
    const { lost, models } = await lostWhole(paid, events)
    const check = checker()
    for (let i = 0; i < 5; i++) {
      const { events: more } = await world.own.pay(3)
      await Promise.all([check.round(), models.feed(more)])
    }
    await check.round()
    expect(new Set(check.errors.map(({ stream }) => stream))).toEqual(new Set([lost]))
  })

  it('passes over streams that somebody deleted in the log, says so once, and goes on with the others', async () => {
    const { payments: paid, events } = await world.own.pay(6)
    await (await createReadModels(world.database.pool, all)).feed(events)
    const [hard, soft, again, wrong] = paid.map(({ stream }) => stream)
    await keeper.tombstoneStream(hard!)
    await keeper.deleteStream(soft!)
    await keeper.deleteStream(again!)
    const { amount, userId, paymentId } = paid[2]!
    await world.own.append(again!, 3, {
      type: 'payment.failed',
      data: { paymentId, userId, attempt: 2, amount, code: 'card-declined' },
    })
    await sql(`update payments.payment set status = 'lost' where payment_id = $1`, [paid[3]!.paymentId])
    const check = checker()
    for (let i = 0; i < 4; i++) await check.round()
    expect(check.errors.map(({ stream }) => stream)).toEqual([wrong])
    expect(check.counts.failed).toBe(0)
    expect(check.warnings.map(({ stream }) => stream).toSorted()).toEqual([hard, soft, again].toSorted())

    const { differing, deleted } = await checkDrift(payments, 100, deps())
    expect(differing.map(({ stream }) => stream)).toEqual([wrong])
    expect(deleted.toSorted()).toEqual([hard, soft, again].toSorted())
    await expect(refold(payments, hard!)).rejects.toThrow(/was deleted in the log for good: its rows stay/)
    await expect(refold(payments, soft!)).rejects.toThrow(/or it was deleted there/)
    await expect(refold(payments, again!)).rejects.toThrow(/lost the beginning of/)
    const { rows } = await sql('select count(*) as n from payments.payment')
    expect(rows[0].n).toBe(6n)
  })

  it('raises nothing about a healthy read model while events flow', async () => {
    const models = await createReadModels(world.database.pool, all)
    await models.feed((await world.own.pay(10, 5)).events)
    const flowing = { on: true }
    let flowed = 0
    const flow = (async () => {
      while (flowing.on) {
        // One event at a time: every stream is met in the middle of growing.
        for (const event of (await world.own.pay(3, 4)).events) await models.feed([event])
        flowed += 1
      }
    })()
    const check = checker()
    const until = Date.now() + 8_000
    while (Date.now() < until) await check.round()
    flowing.on = false
    await flow
    expect(flowed).toBeGreaterThan(1)
    expect(check.counts).toEqual({ checked: expect.any(Number), found: 0, failed: 0 })
    expect(check.counts.checked).toBeGreaterThan(50)
    expect(check.errors).toEqual([])
  })

  it('passes over what is parked, and goes on when a server does not answer', async () => {
    const broken: Projection = {
      ...payments,
      on: {
        ...payments.on,
        'payment.processed': () => {
          throw new Error('a rule that is wrong')
        },
      },
    }
    await (await createReadModels(world.database.pool, [broken])).feed((await world.own.pay(3)).events)
    expect(await checkDrift(broken, 10, deps())).toMatchObject({ compared: 0, differing: [] })

    const check = checker([payments, paymentHistory])
    // payment_history was never installed here.
    await check.round()
    expect(check.counts).toMatchObject({ found: 0, failed: 1 })
  })

  it('goes round by itself and ends when it is told to', async () => {
    await (await createReadModels(world.database.pool, all)).feed((await world.own.pay(3)).events)
    const check = checker()
    check.start(20)
    const until = Date.now() + 10_000
    while (check.counts.checked < 20 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
    await check.stop()
    const { checked } = check.counts
    expect(checked).toBeGreaterThanOrEqual(20)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(check.counts).toEqual({ checked, found: 0, failed: 0 })
  })
})

describe('a refold', () => {
  it('makes rows, revision and parked events of one stream what the log says, and touches nothing else', async () => {
    const { payments: paid, events } = await world.own.pay(6)
    await (await createReadModels(world.database.pool, all)).feed(events)
    const before = await checksumOf(world.database.pool, payments, 'live')
    const { stream, paymentId } = paid[3]!
    await sql('delete from payments.payment where payment_id = $1', [paymentId])
    await sql('update annals.stream set revision = revision + 5 where stream = $1', [stream])
    await refold(payments, stream)
    expect(await checksumOf(world.database.pool, payments, 'live')).toEqual(before)
    expect(await recordedActions(world.database.pool, { stream }, 10)).toEqual([
      expect.objectContaining({ action: 'refold', actor: 'ada', applied: 3 }),
    ])
  })

  it('frees a stream that is parked when the rule has been put right, and parks it when it is wrong', async () => {
    const broken: Projection = {
      ...payments,
      on: {
        ...payments.on,
        'payment.processed': () => {
          throw new Error('a rule that is wrong')
        },
      },
    }
    const { payments: paid, events } = await world.own.pay(1)
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    const { stream } = paid[0]!
    expect(await refold(payments, stream)).toMatchObject({ parked: 0 })
    expect(await parkedStreams(world.database.pool, payments, 10)).toEqual([])
    expect(await refold(broken, stream)).toMatchObject({ parked: 1 })
    expect(await parkedStreams(world.database.pool, payments, 10)).toMatchObject([{ stream, revision: 2 }])
  })

  it('goes as far as the read model has seen, so that what comes next is neither lost nor doubled', async () => {
    const { payments: paid, events } = await world.own.pay(1, 3)
    const models = await createReadModels(world.database.pool, [payments, paymentHistory])
    await models.feed(events.slice(0, 2))
    expect(await refold(paymentHistory, paid[0]!.stream)).toMatchObject({ events: 2, mended: [] })
    await models.feed(events.slice(2))
    const { rows } = await sql('select count(*) as n from payment_history.payment_event')
    expect(rows[0].n).toBe(5n)
  })

  it('is refused where rows are made of many streams, and for streams that are not there', async () => {
    const { payments: paid, events } = await world.own.pay(1)
    await (await createReadModels(world.database.pool, all)).feed(events)
    await expect(refold(paymentTotals, paid[0]!.stream)).rejects.toThrow(/rebuild it with `replay payment_totals`/)
    await expect(refold(payments, `${paid[0]!.stream.slice(0, -4)}0000`)).rejects.toThrow(/the log has no stream/)
    await expect(refold(payments, 'session-x')).rejects.toThrow(NotPossible)
  })
})
