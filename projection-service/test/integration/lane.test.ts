import { beforeAll, describe, expect, it } from '@jest/globals'
import type { RecordedEvent } from '@annals/contracts'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { createLane, type LaneObserver } from '../../src/engine/live/lane'
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

/** Counts what becomes of events in one read model. */
const observer = (
  of: Projection,
): LaneObserver & { counts: Record<string, number>; stopped: (string | undefined)[] } => {
  const counts: Record<string, number> = {}
  const stopped: (string | undefined)[] = []
  return {
    counts,
    stopped,
    applied: (projection, verdict, count) => {
      if (projection === of.name) counts[verdict] = (counts[verdict] ?? 0) + count
    },
    foreign: () => (counts['foreign'] = (counts['foreign'] ?? 0) + 1),
    waiting: (_, reason) => stopped.push(reason),
    transaction: () => undefined,
    left: (projection) => stopped.push(`${projection} left`),
  }
}

/** An instance of the lane, watched for one read model. */
const instance = (watched: Projection, seen = observer(watched)) => ({
  seen,
  ...createLane([payments, paymentTotals], {
    pool: database.pool,
    openAll: opensNothing,
    log: silent,
    observer: seen,
  }),
})

const place = (partition: number) => [{ topic: 'annals.payments', partition }]
const rowOf = async (paymentId: string) =>
  (await database.pool.query('select * from payments.payment where payment_id = $1', [paymentId])).rows[0]

describe('a lane', () => {
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
    const { rows } = await database.pool.query(
      'select coalesce(sum(completed_count), 0) as n from payment_totals.payment_total where shard = 2',
    )
    expect(Number(rows[0].n)).toBe(1)
  })

  it('is looked at without going on from there', async () => {
    const [first, second] = [instance(paymentTotals), instance(paymentTotals)]
    const [from] = await first.positions(place(2))
    await second.positions(place(2))
    await first.handle(batchOf(paymentFacts(paymentOn(2), 410n), from!.nextOffset))
    expect(await second.look(place(2))).toMatchObject([{ nextOffset: from!.nextOffset + 3n }])
    const next = batchOf(paymentFacts(paymentOn(2), 420n), from!.nextOffset + 3n)
    expect(await second.handle(next)).toEqual({ kind: 'reposition' })
    expect(await first.handle(next)).toEqual({ kind: 'done' })
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

  it('parks a fact of the year 0000, and its partition goes on', async () => {
    const [old, good] = [paymentOn(5), paymentOn(5)]
    const [created] = paymentFacts(old, 3_000n) as [RecordedEvent]
    ;(created.metadata as { occurredAt: string }).occurredAt = '0000-06-01T00:00:00.000Z'
    const events = [created, ...paymentFacts(good, 3_010n)]
    const [one, other] = [instance(payments), instance(paymentTotals)]
    const [at] = await one.positions(place(5))
    expect(await one.handle(batchOf(events, at?.nextOffset ?? 0n))).toEqual({ kind: 'done' })
    expect(one.seen.counts).toMatchObject({ parked: 1, applied: 3 })
    const { rows } = await database.pool.query('select count(*) as n from payment_totals.parked where stream = $1', [
      old.stream,
    ])
    expect([rows[0].n, other.seen.counts]).toEqual([1n, {}])
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
    const from = [0, 1, 3, 4, 5].map((partition) => ({
      partition,
      payment: paymentOn(partition, { amount: { minor: 1250, currency: 'USD' } }),
    }))
    const live = instance(paymentTotals)
    const at = await live.positions(from.flatMap(({ partition }) => place(partition)))
    await Promise.all(
      from.map(({ payment, partition }, i) =>
        live.handle(batchOf(paymentFacts(payment, BigInt(9_000 + 10 * i)), at[i]?.nextOffset ?? 0n, partition)),
      ),
    )
    const { rows } = await database.pool.query(
      `select count(*) as shards, sum(completed_minor) as minor from payment_totals.payment_total where currency = 'USD'`,
    )
    expect(rows[0]).toEqual({ shards: 5n, minor: '6250' })
  })
})
