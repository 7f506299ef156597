import { beforeAll, describe, expect, it } from '@jest/globals'
import type { RecordedEvent } from '@annals/contracts'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { createLiveProjection, type LiveObserver } from '../../src/engine/live/live'
import { retryParked } from '../../src/engine/parking/parked'
import { installProjection } from '../../src/engine/tables/registry'
import type { Projection } from '../../src/engine/definition/projection'
import { payments, paymentTotals } from '../../src/projections'
import { projectionDatabase, silent } from '../support/database'
import { aTopicId, batchOf, opensNothing, paymentFacts, paymentOn, recorded } from '../support/facts'

const scope = testScope('file')
let database: TestDatabase
beforeAll(async () => {
  database = await scope.database(projectionDatabase)
  await installProjection(database.pool, payments)
  await installProjection(database.pool, paymentTotals)
})

const observer = (): LiveObserver & { counts: Record<string, number>; stopped: (string | undefined)[] } => {
  const counts: Record<string, number> = {}
  const stopped: (string | undefined)[] = []
  return {
    counts,
    stopped,
    applied: (verdict, count) => (counts[verdict] = (counts[verdict] ?? 0) + count),
    foreign: () => (counts['foreign'] = (counts['foreign'] ?? 0) + 1),
    waiting: (_, reason) => stopped.push(reason),
    transaction: () => undefined,
  }
}

const instance = (projection: Projection, seen = observer()) => ({
  seen,
  ...createLiveProjection(projection, { pool: database.pool, openAll: opensNothing, log: silent, observer: seen }),
})

const place = (partition: number) => [{ topic: 'annals.payments', partition }]
const rowOf = async (paymentId: string) =>
  (await database.pool.query('select * from payments.payment where payment_id = $1', [paymentId])).rows[0]

describe('a live projection', () => {
  it('folds a batch and moves rows, revisions and checkpoint together', async () => {
    const payment = paymentOn(0)
    const facts = paymentFacts(payment, 100n)
    const live = instance(payments)
    expect(await live.positions(place(0))).toEqual([undefined])
    expect(await live.handle(batchOf(facts, 0n))).toEqual({ kind: 'done' })
    expect(await rowOf(payment.paymentId)).toMatchObject({ status: 'completed', amount_minor: 1250n, revision: 2n })
    expect(await live.positions(place(0))).toMatchObject([
      { nextOffset: 3n, topicId: aTopicId, last: { offset: 2n, mark: facts[2]!.id } },
    ])
    const { rows } = await database.pool.query('select position from payments.checkpoint where partition = 0')
    expect(rows[0].position).toBe(102n)
  })

  it('passes over what it has seen already', async () => {
    const payment = paymentOn(1)
    const facts = paymentFacts(payment, 200n)
    const live = instance(payments)
    await live.positions(place(1))
    await live.handle(batchOf(facts, 0n))
    // The same facts again at later offsets, as a relay that published twice would have them.
    await live.handle(batchOf([...facts, ...paymentFacts(paymentOn(1), 300n)], 3n))
    expect(live.seen.counts).toMatchObject({ applied: 6, duplicate: 3 })
    expect((await rowOf(payment.paymentId)).attempts).toBe(1)
  })

  it('applies what it never saw at a lower log position than it has reached, and nothing twice', async () => {
    const [early, late] = [paymentOn(1), paymentOn(1)]
    const [facts, later] = [paymentFacts(early, 310n), paymentFacts(late, 320n)]
    const live = instance(payments)
    const [from] = await live.positions(place(1))
    // A topic that was filled anew while part of the log was missing brings it last.
    await live.handle(batchOf(later, from!.nextOffset))
    await live.handle(batchOf([...facts, ...later], from!.nextOffset + 3n))
    expect(live.seen.counts).toEqual({ applied: 6, duplicate: 3 })
    expect(await rowOf(early.paymentId)).toMatchObject({ status: 'completed', revision: 2n })
    expect(await live.positions(place(1))).toMatchObject([{ position: 322n }])
  })

  it('begins anew on a topic that was made anew, and goes on there', async () => {
    const [before, missed, after] = [paymentOn(1), paymentOn(1), paymentOn(1)]
    const live = instance(payments)
    const [from] = await live.positions(place(1))
    const facts = paymentFacts(before, 330n)
    await live.handle(batchOf(facts, from!.nextOffset))
    const anew = { topicId: '00000000-0000-4000-8000-000000000002' }
    const batch = batchOf([...facts, ...paymentFacts(missed, 340n)], 0n)
    expect(await live.handle({ ...batch, ...anew })).toEqual({ kind: 'done' })
    expect(await live.positions(place(1))).toMatchObject([{ nextOffset: 6n, ...anew, position: 342n }])
    expect(await live.handle({ ...batchOf(paymentFacts(after, 350n), 6n), ...anew })).toEqual({ kind: 'done' })
    expect(live.seen.counts).toEqual({ applied: 9, duplicate: 3 })
    for (const { paymentId } of [before, missed, after])
      expect(await rowOf(paymentId)).toMatchObject({ status: 'completed', attempts: 1 })
  })

  it('lets the instance that came second find the checkpoint moved, and change nothing', async () => {
    const facts = paymentFacts(paymentOn(2), 400n)
    const first = instance(paymentTotals)
    const zombie = instance(paymentTotals)
    await first.positions(place(2))
    await zombie.positions(place(2))
    const outcomes = await Promise.all([first.handle(batchOf(facts, 0n)), zombie.handle(batchOf(facts, 0n))])
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['done', 'reposition'])
    const { rows } = await database.pool.query('select sum(completed_count) as n from payment_totals.payment_total')
    expect(Number(rows[0].n)).toBe(1)
  })

  it('stops loudly at a hole, after what came before it, and goes on when it is filled', async () => {
    const [created, started, processed] = paymentFacts(paymentOn(3), 500n) as [
      RecordedEvent,
      RecordedEvent,
      RecordedEvent,
    ]
    const live = instance(payments)
    await live.positions(place(3))
    const outcome = await live.handle(batchOf([created, processed], 0n))
    expect(outcome).toMatchObject({
      kind: 'wait',
      resumeAt: 1n,
      reason: expect.stringMatching(/revision 2 came after 0/),
    })
    expect(live.seen.stopped).toEqual(['hole'])
    expect(await live.handle(batchOf([started, processed], 1n))).toEqual({ kind: 'done' })
    expect(live.seen.stopped).toEqual(['hole', undefined])
  })

  it('waits at an event that a newer release wrote', async () => {
    const [created, started] = paymentFacts(paymentOn(4), 600n) as [RecordedEvent, RecordedEvent]
    ;(started.metadata as { schemaVersion: number }).schemaVersion = 99
    const live = instance(payments)
    await live.positions(place(4))
    expect(await live.handle(batchOf([created, started], 0n))).toMatchObject({ kind: 'wait', resumeAt: 1n })
    expect(live.seen.counts['applied']).toBe(1)
  })

  it('parks what it can not apply, queues what follows in that stream, and goes on with the rest', async () => {
    const bad = paymentOn(5)
    const good = paymentOn(5)
    const [created, started, processed] = paymentFacts(bad, 700n) as [RecordedEvent, RecordedEvent, RecordedEvent]
    ;(created.data as { amount: unknown }).amount = { minor: -1, currency: 'EUR' }
    const live = instance(payments)
    await live.positions(place(5))
    const events = [created, started, processed, ...paymentFacts(good, 710n)]
    expect(await live.handle(batchOf(events, 0n))).toEqual({ kind: 'done' })
    expect(live.seen.counts).toEqual({ parked: 1, queued: 2, applied: 3 })
    expect(await rowOf(bad.paymentId)).toBeUndefined()
    expect(await rowOf(good.paymentId)).toMatchObject({ status: 'completed' })
    const { rows } = await database.pool.query(
      'select revision, error from payments.parked where stream = $1 order by revision',
      [bad.stream],
    )
    expect(rows).toEqual([
      { revision: 0n, error: expect.stringMatching(/amount/) },
      { revision: 1n, error: null },
      { revision: 2n, error: null },
    ])
  })

  it('parks what PostgreSQL refuses, that event alone, wherever it stands among others', async () => {
    const { pool } = database
    const from = paymentOn(4)
    const good = Array.from({ length: 20 }, () => paymentOn(4))
    const bad = [666, 667].map((minor) => paymentOn(4, { amount: { minor, currency: 'EUR' } }))
    const streams = [from, ...good.slice(0, 7), bad[0]!, ...good.slice(7, 13), bad[1]!, ...good.slice(13)]
    const live = instance(payments)
    const [at] = await live.positions(place(4))
    // Of the two newest: a rule of the table (class 23), and a value that can not be (22).
    await pool.query('alter table payments.payment add constraint not_this check (amount_minor <> 666) not valid')
    await pool.query(`create function payments.refuse() returns trigger language plpgsql as
      $$ begin raise exception 'secret' using errcode = '22008'; end $$`)
    await pool.query(`create trigger refuse before insert or update on payments.payment for each row
      when (new.amount_minor = 667) execute function payments.refuse()`)
    try {
      const events = streams.flatMap((payment, i) => paymentFacts(payment, BigInt(2_000 + 3 * i)))
      const batch = batchOf(events, at?.nextOffset ?? 0n)
      expect(await live.handle(batch)).toEqual({ kind: 'done' })
      expect(await live.positions(place(4))).toMatchObject([{ nextOffset: batch.nextOffset, position: 2_068n }])
      expect(live.seen.counts).toMatchObject({ applied: 63, parked: 2, queued: 4 })
      for (const { paymentId } of [from, ...good]) expect(await rowOf(paymentId)).toMatchObject({ status: 'completed' })
      const { rows } = await pool.query(
        'select error from payments.parked where stream = any($1) and error is not null order by error',
        [bad.map(({ stream }) => stream)],
      )
      expect(rows).toEqual([
        { error: expect.stringMatching(/SQLSTATE 22008$/) },
        { error: expect.stringMatching(/SQLSTATE 23514 \(constraint not_this\)$/) },
      ])
    } finally {
      await pool.query('alter table payments.payment drop constraint not_this')
    }
    // What is retried is refused again, and keeps its place; what could be mended is applied.
    const retried = await retryParked(pool, payments, bad[1]!.stream, opensNothing, 'test')
    expect(retried).toMatchObject({ applied: 0, error: { message: expect.stringMatching(/22008/) } })
    await pool.query('drop trigger refuse on payments.payment')
    for (const { stream } of bad)
      expect(await retryParked(pool, payments, stream, opensNothing, 'test')).toEqual({ applied: 3, error: undefined })
  })

  it('parks a fact of the year 0000, and its partition goes on', async () => {
    const [old, good] = [paymentOn(5), paymentOn(5)]
    const [created] = paymentFacts(old, 3_000n) as [RecordedEvent]
    ;(created.metadata as { occurredAt: string }).occurredAt = '0000-06-01T00:00:00.000Z'
    const fed = [
      { projection: payments, events: [created, ...paymentFacts(good, 3_010n)], counts: { parked: 1, applied: 3 } },
      { projection: paymentTotals, events: [created], counts: { parked: 1 } },
    ]
    for (const { projection, events, counts } of fed) {
      const live = instance(projection)
      const [at] = await live.positions(place(5))
      expect(await live.handle(batchOf(events, at?.nextOffset ?? 0n))).toEqual({ kind: 'done' })
      expect(live.seen.counts).toEqual(counts)
    }
  })

  it('passes over records that are no events of ours, and types it does not know, and counts them', async () => {
    const payment = paymentOn(0)
    const facts = paymentFacts(payment, 800n)
    const foreign = { ...batchOf(facts, 0n).records[0]!, headers: {} }
    const unknown = { ...recorded('payment.created', payment.stream, 3, 803n, {} as never), type: 'payment.invented' }
    const live = instance(payments)
    const [from] = await live.positions(place(0))
    const batch = batchOf([...facts, unknown], from?.nextOffset ?? 0n)
    await live.handle({ ...batch, records: [{ ...foreign, offset: batch.records[0]!.offset }, ...batch.records] })
    expect(live.seen.counts).toEqual({ foreign: 1, applied: 3, 'unknown-type': 1 })
  })

  it('adds totals up per partition, so that partitions never wait for each other', async () => {
    const from = [0, 1, 3, 4, 5].map((partition) => ({ partition, payment: paymentOn(partition) }))
    const live = instance(paymentTotals)
    await live.positions(from.flatMap(({ partition }) => place(partition)))
    await Promise.all(
      from.map(({ payment }, i) => live.handle(batchOf(paymentFacts(payment, BigInt(900 + 10 * i)), 0n))),
    )
    const { rows } = await database.pool.query(
      'select count(*) as shards, sum(completed_minor) as minor from payment_totals.payment_total',
    )
    expect(rows[0]).toEqual({ shards: 6n, minor: '7500' })
  })
})
