import { describe, expect, it, jest } from '@jest/globals'
import { placeOf, type RecordedEvent } from '@annals/contracts'
import { createMetrics } from '@annals/platform/metrics'
import { inTransaction } from '@annals/platform/postgres'
import { eventually } from '@annals/platform/testing'
import { tablesOf } from '../../src/engine/tables/generation'
import { lockLane } from '../../src/engine/tables/lane-table'
import { dropParked, parkedQueue, parkedStreams, retryParked } from '../../src/engine/parking/parked'
import { recordedActions } from '../../src/engine/parking/parked-actions'
import type { Projection } from '../../src/engine/definition/projection'
import { NotPossible } from '../../src/engine/tables/stream-lock'
import { insertParked } from '../../src/engine/tables/stream-table'
import { checkDrift } from '../../src/drift/check'
import { payments } from '../../src/projections'
import { addParkedGauges } from '../../src/projector/metrics'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { opensNothing } from '../support/facts'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { createReadModels } from '../support/read-models'

jest.setTimeout(60_000)

const world = useOwnWorld()

const breaking = (projection: Projection, ...types: string[]): Projection => ({
  ...projection,
  on: {
    ...projection.on,
    ...Object.fromEntries(
      types.map((type) => [
        type,
        () => {
          throw new Error(`the rule of ${type} is wrong`)
        },
      ]),
    ),
  },
})
/** The second event of every payment can not be applied. */
const broken = breaking(payments, 'payment.process_started')

const stateOf = async (stream: string) =>
  (await world.database.pool.query('select revision, blocked from payments.stream where stream = $1', [stream])).rows[0]
const because = { actor: 'ada', reason: 'the attempt was made by a payment gateway that is gone' }

describe('a parked stream', () => {
  it('is shown with its event, its error with stack, and what waits behind it', async () => {
    const { payments: paid, events } = await world.own.pay(1)
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    const queue = await parkedQueue(world.database.pool, payments, paid[0]!.stream, 10)
    expect(queue).toEqual([
      expect.objectContaining({
        revision: 1,
        type: 'payment.process_started',
        id: events[1]!.id,
        data: expect.objectContaining({ paymentId: paid[0]!.paymentId }),
        error: 'the rule of payment.process_started is wrong',
        stack: expect.stringMatching(/parked\.test\.ts/),
      }),
      expect.objectContaining({ revision: 2, id: events[2]!.id, error: null, stack: null }),
    ])
    expect(await parkedQueue(world.database.pool, payments, 'payment-none', 10)).toEqual([])
  })

  it('is counted, with how long it has been so', async () => {
    const metrics = createMetrics('test')
    addParkedGauges(metrics, world.database.pool, [payments])
    const told = async () =>
      [...(await metrics.metrics()).matchAll(/^annals_projection_parked_\w+\{.*\} (\S+)$/gm)].map(([, n]) => Number(n))
    const { events } = await world.own.pay(2)
    await (await createReadModels(world.database.pool, [broken])).feed(events.slice(0, 1))
    expect(await told()).toEqual([0, 0])
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    await world.database.pool.query(`update payments.parked set parked_at = parked_at - interval '1 hour'`)
    const [streams, seconds] = await told()
    expect(streams).toBe(2)
    expect(seconds).toBeGreaterThanOrEqual(3_600)
    expect(seconds).toBeLessThan(3_660)
  })

  it('goes on without the event that is dropped, and who did it and why is kept', async () => {
    const { payments: paid, events } = await world.own.pay(2)
    const models = await createReadModels(world.database.pool, [broken])
    await models.feed(events)
    const [one, other] = paid.map(({ stream }) => stream) as [string, string]
    const first = events.filter(({ stream }) => stream === one)
    expect(await dropParked(world.database.pool, broken, one, opensNothing, because)).toEqual({
      dropped: { id: first[1]!.id, revision: 1, type: 'payment.process_started' },
      applied: 1,
      error: undefined,
    })
    expect(await stateOf(one)).toEqual({ revision: 2n, blocked: false })
    expect(await stateOf(other)).toEqual({ revision: 2n, blocked: true })
    const { rows } = await world.database.pool.query(
      'select status, attempts from payments.payment where payment_id = $1',
      [paid[0]!.paymentId],
    )
    expect(rows).toEqual([{ status: 'completed', attempts: 0 }])

    expect(await recordedActions(world.database.pool, { stream: one }, 10)).toEqual([
      expect.objectContaining({ action: 'retry', actor: 'ada', eventIds: [first[2]!.id], applied: 1, reason: null }),
      expect.objectContaining({ action: 'drop', ...because, eventIds: [first[1]!.id], projection: 'payments' }),
    ])
  })

  it('stays without it in every later fold: a drift check and a rebuild', async () => {
    const { payments: paid, events } = await world.own.pay(3)
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    for (const { stream } of paid) await dropParked(world.database.pool, broken, stream, opensNothing, because)
    const deps = rebuildDependencies(world)
    expect(await checkDrift(broken, 10, deps)).toMatchObject({ compared: 3, differing: [] })
    const [rebuilt] = await rebuildAll([broken], deps)
    expect(rebuilt!.verification).toMatchObject({ equal: true, sampled: 3 })
    expect(await parkedStreams(world.database.pool, broken, 10)).toEqual([])
  })

  it('of a text that a former release let in flows again when it is retried, and looks the same everywhere', async () => {
    const streams: string[] = []
    for (const text of ['a\u0000b', 'a\ud800b']) streams.push(await world.own.payFormerly(text))
    const events = (await world.own.events()).filter(({ stream }) => streams.includes(stream))
    await (await createReadModels(world.database.pool, [breaking(payments, 'payment.created')])).feed(events)
    for (const stream of streams) {
      const retried = await retryParked(world.database.pool, payments, stream, opensNothing, 'ada')
      expect(retried).toMatchObject({ applied: 1 })
    }
    const { rows } = await world.database.pool.query('select description from payments.payment')
    expect(rows).toEqual(streams.map(() => ({ description: 'a\ufffdb' })))
    const deps = rebuildDependencies(world)
    expect(await checkDrift(payments, 10, deps)).toMatchObject({ compared: 2, differing: [] })
    const [rebuilt] = await rebuildAll([payments], deps)
    expect(rebuilt!.verification).toMatchObject({ equal: true, sampled: 2 })
  })

  it('is parked at the next event when that can not be applied either', async () => {
    const both = breaking(payments, 'payment.process_started', 'payment.processed')
    const { payments: paid, events } = await world.own.pay(1)
    await (await createReadModels(world.database.pool, [both])).feed(events)
    const { stream } = paid[0]!
    const dropped = await dropParked(world.database.pool, both, stream, opensNothing, because)
    expect(dropped).toMatchObject({ applied: 0, error: { message: 'the rule of payment.processed is wrong' } })
    expect(await parkedQueue(world.database.pool, both, stream, 10)).toEqual([
      expect.objectContaining({ revision: 2, error: 'the rule of payment.processed is wrong' }),
    ])
    // The last one: nothing is left, and the stream flows.
    await dropParked(world.database.pool, both, stream, opensNothing, because)
    expect(await stateOf(stream)).toEqual({ revision: 2n, blocked: false })
  })

  it('is not touched by a drop without a reason, of a stream that is not parked, or of another topic', async () => {
    const { payments: paid, events } = await world.own.pay(1)
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    const { stream } = paid[0]!
    const drop = (of: string, reason: string) =>
      dropParked(world.database.pool, broken, of, opensNothing, { actor: 'ada', reason })
    await expect(drop(stream, '')).rejects.toThrow(/parked_action_drop_with_reason/)
    await expect(drop(stream.replace(/.{4}$/, '0000'), 'why')).rejects.toThrow(NotPossible)
    await expect(drop('user-x', 'why')).rejects.toThrow(/does not read user-x/)
    expect(await parkedQueue(world.database.pool, broken, stream, 10)).toHaveLength(2)
    expect(await recordedActions(world.database.pool, {}, 10)).toEqual([])
  })

  it('is told of when a process of the former release acted on it, which knows the table by its former name', async () => {
    await createReadModels(world.database.pool, [payments])
    await world.database.pool.query(
      `insert into annals.parked_audit (actor, action, projection, version, stream, event_ids, applied, reason)
       values ('ada', 'drop', 'payments', 1, 'payment-x', '{e-1}', 0, 'why')`,
    )
    expect(await recordedActions(world.database.pool, { stream: 'payment-x' }, 10)).toEqual([
      expect.objectContaining({ actor: 'ada', action: 'drop', eventIds: ['e-1'], reason: 'why' }),
    ])
    await expect(
      world.database.pool.query(`update annals.parked_audit set reason = '' where stream = 'payment-x'`),
    ).rejects.toThrow(/parked_action_drop_with_reason/)
  })

  it('is not retried by a release of another version', async () => {
    const { payments: paid, events } = await world.own.pay(1)
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    const second = { ...payments, version: 2 }
    await expect(retryParked(world.database.pool, second, paid[0]!.stream, opensNothing, 'ada')).rejects.toThrow(
      /version 1 of payments is live/,
    )
  })

  it('is retried after a projector transaction in hand, whose event would stay queued for ever otherwise', async () => {
    const { payments: paid, events } = await world.own.pay(1)
    const { stream } = paid[0]!
    const [created, started] = events as [RecordedEvent, RecordedEvent]
    await (await createReadModels(world.database.pool, [breaking(payments, 'payment.created')])).feed([created])
    // As the projector does it: it has the checkpoint and has read that the stream is blocked, so it queues what comes.
    const { partition } = placeOf(stream)!
    const tables = tablesOf(payments, 'live')
    const retried = await inTransaction(world.database.pool, async (projector) => {
      await lockLane(projector, [{ topic: 'annals.payments', partition }])
      const retry = retryParked(world.database.pool, payments, stream, opensNothing, 'ada')
      await eventually(async () => {
        const { rows } = await world.database.pool.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
        expect(rows).toHaveLength(1)
      })
      await insertParked(projector, tables.parked, [{ recorded: started, partition, error: undefined }])
      await projector.query('update annals.stream set revision = 1 where stream = $1', [stream])
      return [retry]
    })
    expect(await retried[0]).toEqual({ applied: 2, error: undefined })
    expect(await stateOf(stream)).toEqual({ revision: 1n, blocked: false })
    expect(await parkedStreams(world.database.pool, payments, 10)).toEqual([])
  })
})
