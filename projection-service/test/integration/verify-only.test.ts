import { describe, expect, it, jest } from '@jest/globals'
import { schemaOf } from '../../src/engine/tables/generation'
import { registered } from '../../src/engine/tables/registry'
import type { Projection } from '../../src/engine/definition/projection'
import { payments, paymentHistory, paymentTotals } from '../../src/projections'
import { exitCodeOf, exitCodes } from '../../src/replay/exit-code'
import { NotEqual, rebuildAll, RebuildRunning, type RebuildDependencies } from '../../src/replay/rebuild/rebuild'
import { abortRebuild, outcomeOf, RebuildUnfinished, schemaExists } from '../../src/replay/rebuild/rebuild-state'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { paceOf } from '../../src/replay/fold/pace'
import { createReadModels } from '../support/read-models'

jest.setTimeout(90_000)

const world = useOwnWorld()

const three: readonly Projection[] = [payments, paymentTotals, paymentHistory]

const deps = (over: Partial<RebuildDependencies> = {}) => rebuildDependencies(world, over)
const verifyOnly = (projections: readonly Projection[], over: Partial<RebuildDependencies> = {}) =>
  rebuildAll(projections, deps({ verifyOnly: true, ...over }))

/** Interrupts a call after its first thousand events. */
const interrupted = async (over: Partial<RebuildDependencies>) => {
  const interruption = new AbortController()
  const observer = { stage: () => undefined, progress: () => interruption.abort() }
  const error = await rebuildAll([payments], deps({ observer, signal: interruption.signal, ...over })).catch((e) => e)
  expect(exitCodeOf(error)).toBe(exitCodes.interrupted)
}

const outcomes = async () => {
  const { rows } = await world.database.pool.query('select * from annals.rebuild order by started_at')
  return rows.map((row) => [row.projection, outcomeOf(row)])
}

describe('a verification alone', () => {
  it('compares all, swaps nothing, leaves nothing behind but what it found', async () => {
    const models = await createReadModels(world.database.pool, three)
    await models.feed((await world.own.pay(30, 3)).events)
    const stages: string[] = []
    const observer = { progress: () => undefined, stage: (_: string, stage: string) => void stages.push(stage) }
    const verified = await verifyOnly(three, { observer })
    expect(verified.map((one) => [one.swapped, one.verification.compared, one.verification.equal])).toEqual(
      three.map(() => [false, true, true]),
    )
    expect(stages.slice(-2)).toEqual(['verifying', 'verified'])
    expect(await outcomes()).toEqual(three.map(({ name }) => [name, 'verified-equal']))
    for (const { name, version } of three) {
      expect(await schemaExists(world.database.pool, schemaOf(name, 'next'))).toBe(false)
      expect(await registered(world.database.pool, name)).toEqual({ version, previousVersion: undefined })
    }
    // And the next one begins with a shadow of its world.own.
    await models.feed((await world.own.pay(5)).events)
    await rebuildAll([payments], deps())
    expect((await outcomes()).at(-1)).toEqual(['payments', 'swapped'])
  })

  it('goes through all of them before it says that one differs, and keeps the keys with their counts', async () => {
    const models = await createReadModels(world.database.pool, three)
    const { payments: paid, events } = await world.own.pay(60)
    await models.feed(events)
    const ids = paid.map(({ paymentId }) => paymentId).sort()
    const change = (sql: string, wanted: string[]) => world.database.pool.query(sql, [wanted])
    await change(`update payments.payment set currency = 'USD' where payment_id = any($1)`, ids.slice(0, 30))
    await change('delete from payments.payment where payment_id = any($1)', ids.slice(30, 34))
    await change('update annals.stream set revision = 0 where stream = any($1)', [`payment-${ids[40]}`])

    const error = (await verifyOnly(three).catch((e: unknown) => e)) as NotEqual
    expect(error).toBeInstanceOf(NotEqual)
    expect(error.projection).toBe('payments')
    expect(error.verified.map((one) => [one.projection, one.verification.equal])).toEqual([
      // The revisions of streams are the lane's, and so of all.
      ['payments', false],
      ['payment_totals', false],
      ['payment_history', false],
    ])
    const differences = {
      rows: { changed: 30, onlyLive: 0, onlyRebuilt: 4 },
      streams: { changed: 1, onlyLive: 0, onlyRebuilt: 0 },
    }
    // Twenty rows are told, and the stream: neither keeps the other out.
    const differing = [...ids.slice(0, 20), `payment-${ids[40]}`]
    expect(error.verification).toMatchObject({ differences, differing })
    expect(await outcomes()).toContainEqual(['payments', 'verified-differs'])
    const { rows } = await world.database.pool.query(`select report from annals.rebuild where projection = 'payments'`)
    expect(rows[0].report).toMatchObject({ equal: false, differences, differing })
    expect(await schemaExists(world.database.pool, 'payments_next')).toBe(false)
  })

  it('names what only one side has', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    const { payments: paid, events } = await world.own.pay(10)
    await models.feed(events)
    const [missing, unknown] = [paid[3]!, paid[7]!]
    await world.database.pool.query('delete from payments.payment where payment_id = $1', [missing.paymentId])
    await world.database.pool.query('delete from annals.stream where stream = $1', [missing.stream])
    await world.database.pool.query(
      `insert into annals.stream (stream, revision, partition) values ('payment-0', 1, 0)`,
    )
    await world.database.pool.query('update payments.payment set payment_id = $2 where payment_id = $1', [
      unknown.paymentId,
      '00000000-0000-0000-0000-000000000000',
    ])
    const error = (await verifyOnly([payments]).catch((e: unknown) => e)) as NotEqual
    expect(error.verification.differences).toEqual({
      rows: { changed: 0, onlyLive: 1, onlyRebuilt: 2 },
      streams: { changed: 0, onlyLive: 1, onlyRebuilt: 1 },
    })
    expect(error.verification.differing.sort()).toEqual(
      [
        '00000000-0000-0000-0000-000000000000 (only live)',
        `${missing.paymentId} (only rebuilt)`,
        `${unknown.paymentId} (only rebuilt)`,
        'payment-0 (only live)',
        `${missing.stream} (only rebuilt)`,
      ].sort(),
    )
  })

  it('goes on where it was when it was ended', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(35, 58)).events)
    await interrupted({ verifyOnly: true })
    expect(await outcomes()).toEqual([['payments', 'unfinished']])
    const told: unknown[] = []
    const observer = {
      progress: () => undefined,
      stage: (_: string, stage: string, facts?: object) => void (stage === 'prepared' && told.push(facts)),
    }
    await verifyOnly([payments], { observer })
    expect(told).toEqual([{ version: 1, live: 1, resumedAfter: paceOf(undefined).foldSize }])
    expect(await outcomes()).toEqual([['payments', 'verified-equal']])
  })

  it('hands what it has done to a rebuild that comes after it, and never takes it from one', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(35, 58)).events)
    await interrupted({ verifyOnly: true })
    await interrupted({})
    const error = await verifyOnly([payments]).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(RebuildUnfinished)
    expect(exitCodeOf(error)).toBe(exitCodes.running)
    const [rebuilt] = await rebuildAll([payments], deps())
    expect(rebuilt).toMatchObject({ swapped: true, events: 2_100n })
    expect(await outcomes()).toEqual([['payments', 'swapped']])
  })

  it('excludes a rebuild while it runs, and can be aborted', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(35, 58)).events)
    const second: { error?: unknown } = {}
    const observer = {
      stage: () => undefined,
      progress: () => void (second.error ??= rebuildAll([payments], deps()).catch((e: unknown) => e)),
    }
    await verifyOnly([payments], { observer, throttle: 2_000 })
    expect(await second.error).toBeInstanceOf(RebuildRunning)

    await interrupted({ verifyOnly: true })
    expect(await abortRebuild(world.database.pool, 'payments', 'test')).toBe(true)
    expect(await outcomes()).toEqual([
      ['payments', 'verified-equal'],
      ['payments', 'aborted'],
    ])
  })
})
