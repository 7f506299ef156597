import { randomUUID } from 'node:crypto'
import { describe, expect, it, jest } from '@jest/globals'
import { eventually } from '@annals/platform/testing'
import { createGeneration, tablesOf, type Generation } from '../../src/engine/tables/generation'
import type { Projection } from '../../src/engine/definition/projection'
import { paymentHistory, payments, paymentTotals } from '../../src/projections'
import { dropSnapshots, makeSnapshots, SnapshotError, type SnapshotInput } from '../../src/replay/snapshots/as-of'
import { RebuildStopped, type PlacedEvent } from '../../src/replay/fold/bulk-fold'
import { checksumOf } from '../../src/replay/rebuild/checksum'
import { diffOf, masked } from '../../src/replay/snapshots/diff'
import { topicsOf } from '../../src/engine/definition/topics'
import { logSource, placed, streamsInScope, streamsSource } from '../../src/replay/source/event-source'
import { schemaExists } from '../../src/replay/rebuild/rebuild-state'
import { startTestApi } from '../support/api'
import { opensNothing } from '../support/facts'
import { useOwnWorld } from '../support/own-world'
import { createReadModels } from '../support/read-models'

jest.setTimeout(90_000)

const world = useOwnWorld()

const three: readonly Projection[] = [payments, paymentTotals, paymentHistory]
const { signal } = new AbortController()

const make = (over: Partial<SnapshotInput> & Pick<SnapshotInput, 'source'>) =>
  makeSnapshots({
    projections: three,
    snapshot: 'asof_then',
    facts: { kind: 'as-of', what: 'a test' },
    pool: world.database.pool,
    openAll: opensNothing,
    signal,
    ...over,
  })
const scoped = { facts: { kind: 'scope', what: 'a test' } } as const

const sums = (generation: Generation) =>
  Promise.all(three.map((projection) => checksumOf(world.database.pool, projection, generation)))

/** Live read models at two moments: after 12 payments, and after 8 more and another event of one of the first. */
async function twoMoments() {
  const models = await createReadModels(world.database.pool, three)
  const first = await world.own.pay(12)
  await models.feed(first.events)
  const position = first.events.at(-1)!.position
  const then = await sums('live')
  const time = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 5))
  const second = await world.own.pay(8)
  const [changed] = first.payments
  await world.own.append(changed!.stream, 3, {
    type: 'payment.failed',
    data: {
      paymentId: changed!.paymentId,
      userId: changed!.userId,
      attempt: 1,
      amount: changed!.amount,
      code: 'card-declined',
    },
  })
  await models.feed(await world.own.events(position))
  return { first, second, position, time, then, changed: changed! }
}

describe('a snapshot', () => {
  it('is what the read models were at a position, and at a time', async () => {
    const { position, time, then } = await twoMoments()
    const now = await sums('live')
    const made = await make({ source: logSource(world.own.log, topicsOf(three), { kind: 'position', position }) })
    expect(made.map(({ events, parkedStreams }) => [events, parkedStreams])).toEqual([
      [36, 0],
      [36, 0],
      [36, 0],
    ])
    expect(await sums('asof_then')).toEqual(then)
    await make({ snapshot: 'asof_time', source: logSource(world.own.log, topicsOf(three), { kind: 'time', at: time }) })
    expect(await sums('asof_time')).toEqual(then)
    await make({ snapshot: 'asof_end', source: logSource(world.own.log, topicsOf(three)) })
    expect(await sums('asof_end')).toEqual(now)
    expect(await sums('live')).toEqual(now)
  })

  it('is what the log held at a time, whatever its facts say of themselves', async () => {
    const start = Date.now()
    const { payments: future } = await world.own.pay(1, 1, '2999-01-01T00:00:00.000Z')
    const { payments: past } = await world.own.pay(1, 1, '1999-01-01T00:00:00.000Z')
    const { payments: now } = await world.own.pay(1)
    const at = (await world.own.events()).at(-1)!.createdAt
    await eventually(async () => expect(Date.now()).toBeGreaterThan(at))
    now.push(...(await world.own.pay(3)).payments)
    const source = () => logSource(world.own.log, topicsOf([payments]), { kind: 'time', at })
    const [made] = await make({ projections: [payments], source: source() })
    expect(made!.events).toBe(9)
    const { rows } = await world.database.pool.query(
      'select max(updated_at) as as_of from payments_asof_then.checkpoint',
    )
    expect(Date.parse(rows[0].as_of)).toBe(at)

    const scope = (from: number, to?: number) =>
      streamsInScope(
        world.own.log,
        topicsOf([payments]),
        { from: { kind: 'time', at: from }, to: to === undefined ? undefined : { kind: 'time', at: to } },
        signal,
      )
    const streams = [...future, ...past, ...now].map(({ stream }) => stream).toSorted()
    expect((await scope(start - 60_000, Date.now() + 60_000)).toSorted()).toEqual(streams)
    expect(await scope(Date.now() + 60_000)).toEqual([])
  })

  it('is refused for a time at which the clock of the log went back', async () => {
    await world.own.pay(3)
    const held = await world.own.events()
    const at = held[8]!.createdAt
    const log = {
      async *readAll() {
        // The fifth was recorded with a clock that was a minute ahead.
        for (const [i, event] of held.entries()) yield i === 4 ? { ...event, createdAt: at + 60_000 } : event
      },
    }
    const source = (time: number) => logSource(log, topicsOf([payments]), { kind: 'time', at: time })
    await expect(make({ projections: [payments], source: source(at + 1_000) })).rejects.toThrow(
      `Name a position instead, such as ${held[4]!.position - 1n} or ${held[5]!.position}`,
    )
    expect(await schemaExists(world.database.pool, 'payments_asof_then')).toBe(false)
    const [made] = await make({ projections: [payments], source: source(at + 60_000) })
    expect(made!.events).toBe(9)
  })

  it('is never overwritten, and what a killed call left is thrown away', async () => {
    await world.own.pay(2)
    const client = await world.database.pool.connect()
    await createGeneration(client, payments, 'asnew_then')
    client.release()
    await make({ source: logSource(world.own.log, topicsOf(three)) })
    await expect(make({ source: logSource(world.own.log, topicsOf(three)) })).rejects.toThrow(SnapshotError)
    expect(await schemaExists(world.database.pool, 'payments_asnew_then')).toBe(false)
    expect(await dropSnapshots(world.database.pool, three, 'asof_then')).toHaveLength(3)
    await expect(dropSnapshots(world.database.pool, three, 'asof_then')).rejects.toThrow(SnapshotError)
    await make({ source: logSource(world.own.log, topicsOf(three)) })
  })

  it('does not appear when the fold is interrupted or meets a hole', async () => {
    const { events } = await world.own.pay(2)
    const place = (recorded: (typeof events)[number]): PlacedEvent[] => [
      { recorded, place: 'annals.payments/0', partition: 0, at: 0 },
    ]
    const cut = {
      repeats: 'refused' as const,
      async *chunks() {
        yield place(events[1]!)
      },
    }
    await expect(make({ source: cut })).rejects.toThrow(RebuildStopped)
    const interruption = new AbortController()
    interruption.abort()
    const source = logSource(world.own.log, topicsOf(three))
    await expect(make({ source, signal: interruption.signal })).rejects.toThrow(/abort/)
    for (const generation of ['asof_then', 'asnew_then'])
      expect(await schemaExists(world.database.pool, `payments_${generation}`)).toBe(false)
  })

  it('passes over what a topic brings twice, and takes a log that does so for damaged', async () => {
    const { events } = await world.own.pay(3)
    const chunk = events.flatMap((recorded) => placed(recorded) ?? [])
    const twice = (repeats: 'refused' | 'passed-over') => ({
      repeats,
      async *chunks() {
        yield chunk
        yield chunk
      },
    })
    await expect(make({ source: twice('refused') })).rejects.toThrow(RebuildStopped)
    await make({ source: twice('passed-over') })
    await make({ source: logSource(world.own.log, topicsOf(three)), snapshot: 'asof_log' })
    expect(await sums('asof_then')).toEqual(await sums('asof_log'))
  })

  it('leaves out what people have dropped, as live does', async () => {
    const models = await createReadModels(world.database.pool, three)
    const { events } = await world.own.pay(1)
    await models.feed(events)
    await world.database.pool.query(
      `insert into annals.parked_action (actor, action, projection, version, stream, event_ids, reason)
       values ('test', 'drop', 'payments', 1, $1, array[$2], 'for the test')`,
      [events[2]!.stream, events[2]!.id],
    )
    await make({ source: logSource(world.own.log, topicsOf(three)) })
    const { rows } = await world.database.pool.query('select status from payments_asof_then.payment')
    expect(rows).toEqual([{ status: 'processing' }])
  })

  it('is made by one process at a time', async () => {
    await world.own.pay(1)
    let isHeld = false
    let release = () => {}
    const held = {
      repeats: 'refused' as const,
      async *chunks() {
        await new Promise<void>((resolve) => {
          release = resolve
          isHeld = true
        })
        yield []
      },
    }
    const first = make({ source: held })
    // Its tables are made when it holds the lock.
    await eventually(async () => expect(await schemaExists(world.database.pool, 'payments_asnew_then')).toBe(true))
    await expect(make({ source: held })).rejects.toThrow(SnapshotError)
    await eventually(() => expect(isHeld).toBe(true))
    release()
    await first
  })

  it('is served by a query API that is pointed at it', async () => {
    const { position, changed, second } = await twoMoments()
    await make({ source: logSource(world.own.log, topicsOf(three), { kind: 'position', position }) })
    const live = await startTestApi(world.scope, { pool: world.database.pool })
    const past = await startTestApi(world.scope, { pool: world.database.pool, generation: 'asof_then' })
    const ask = async (api: typeof live, path: string) =>
      api.get(path, { token: await api.tokenFor(randomUUID(), { roles: ['admin'] }) })
    const path = `/payments/${changed.paymentId}`
    expect((await ask(live, path)).body).toMatchObject({ status: 'failed' })
    const before = await ask(past, path)
    expect(before.body).toMatchObject({ status: 'completed', freshness: { position: String(position) } })
    expect((await ask(past, `${path}/events`)).body.items).toHaveLength(3)
    expect((await ask(past, `/payments/${second.payments[0]!.paymentId}`)).status).toBe(404)
    expect((await ask(live, `/payments/${second.payments[0]!.paymentId}`)).status).toBe(200)
    const nowhere = await startTestApi(world.scope, { pool: world.database.pool, generation: 'asof_nowhere' })
    expect((await ask(nowhere, path)).status).toBe(503)
  })
})

describe('a scope', () => {
  it('finds the streams of a user, of a time, and both', async () => {
    const { first, second, time } = await twoMoments()
    const find = (scope: Parameters<typeof streamsInScope>[2]) =>
      streamsInScope(world.own.log, ['annals.payments'], scope, signal)
    const { userId, stream } = first.payments[3]!
    expect(await find({ userId })).toEqual([stream])
    expect(await find({ userId, from: { kind: 'time', at: time } })).toEqual([])
    expect(await find({ stream })).toEqual([stream])
    // Another event of the first payment happened later, too.
    expect((await find({ from: { kind: 'time', at: time + 1 } })).toSorted()).toEqual(
      [...second.payments.map((one) => one.stream), first.payments[0]!.stream].toSorted(),
    )
    expect((await find({ to: { kind: 'time', at: time + 1 } })).toSorted()).toEqual(
      first.payments.map((one) => one.stream).toSorted(),
    )
  })

  it('equals the same rows of live, and shows the one that was corrupted', async () => {
    const { first } = await twoMoments()
    const streams = first.payments.slice(0, 4).map(({ stream }) => stream)
    await make({ ...scoped, projections: [payments], source: streamsSource(world.own.log, streams) })
    const compare = () => diffOf(world.database.pool, payments, 'asof_then', 'live', 10)
    expect(await compare()).toEqual({ added: 0, removed: 0, changed: 0, differences: [] })
    const { paymentId } = first.payments[2]!
    await world.database.pool.query(
      `update payments.payment set amount_minor = 1, description = 'x' where payment_id = $1`,
      [paymentId],
    )
    // Outside of the scope: not looked at.
    await world.database.pool.query(`update payments.payment set amount_minor = 2 where payment_id = $1`, [
      first.payments[9]!.paymentId,
    ])
    expect(await compare()).toEqual({
      added: 0,
      removed: 0,
      changed: 1,
      differences: [
        {
          key: paymentId,
          kind: 'changed',
          columns: expect.arrayContaining([
            { column: 'amount_minor', before: 1250, after: 1 },
            { column: 'description', before: masked, after: masked },
          ]),
        },
      ],
    })
  })

  it('can not be compared where rows add up many streams', async () => {
    const { first } = await twoMoments()
    const source = streamsSource(world.own.log, [first.payments[0]!.stream])
    await make({ ...scoped, projections: [paymentTotals], source })
    const found = diffOf(world.database.pool, paymentTotals, 'asof_then', 'live', 10)
    await expect(found).rejects.toThrow(/add up many streams/)
  })
})

describe('a diff', () => {
  it('tells what was added, removed and changed between two moments, in both directions', async () => {
    const { position, changed, second } = await twoMoments()
    await make({ source: logSource(world.own.log, topicsOf(three), { kind: 'position', position }) })
    const forth = await diffOf(world.database.pool, payments, 'asof_then', 'live', 100)
    expect(forth).toMatchObject({ added: 8, removed: 0, changed: 1 })
    expect(
      forth.differences
        .filter(({ kind }) => kind === 'added')
        .map(({ key }) => key)
        .toSorted(),
    ).toEqual(second.payments.map(({ paymentId }) => paymentId).toSorted())
    const [difference] = forth.differences.filter(({ kind }) => kind === 'changed')
    expect(difference!.key).toBe(changed.paymentId)
    expect(difference!.columns).toContainEqual({ column: 'status', before: 'completed', after: 'failed' })
    const back = await diffOf(world.database.pool, payments, 'live', 'asof_then', 3)
    expect(back).toMatchObject({ added: 0, removed: 8, changed: 1 })
    expect(back.differences).toHaveLength(3)
    expect(await diffOf(world.database.pool, paymentTotals, 'asof_then', 'asof_then', 3)).toMatchObject({ changed: 0 })
  })

  it('is refused for what is not there, and between versions', async () => {
    await twoMoments()
    await expect(diffOf(world.database.pool, payments, 'asof_none', 'live', 1)).rejects.toThrow(
      /no snapshot with the label none/,
    )
    await make({ source: logSource(world.own.log, topicsOf(three)), projections: [{ ...payments, version: 2 }] })
    await expect(diffOf(world.database.pool, payments, 'asof_then', 'live', 1)).rejects.toThrow(/version 2 can not/)
    expect(tablesOf(payments, 'asof_then').rows).toBe('payments_asof_then.payment')
  })
})
