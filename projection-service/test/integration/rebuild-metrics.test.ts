import { beforeAll, expect, it } from '@jest/globals'
import { createMetrics } from '@annals/platform/metrics'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { tryRebuildLock } from '../../src/engine/tables/registry'
import { payments, users } from '../../src/projections'
import { addRebuildMetrics } from '../../src/projector/rebuild-metrics'
import { excludingRebuilds } from '../../src/replay/rebuild/rebuild'
import { recordingFailure } from '../../src/replay/rebuild/rebuild-run'
import { abortRebuild, enterStage, openRebuild } from '../../src/replay/rebuild/rebuild-state'
import { projectionDatabase, silent } from '../support/database'
import { createReadModels } from '../support/read-models'

const scope = testScope('file')
let database: TestDatabase
beforeAll(async () => {
  database = await scope.database(projectionDatabase)
  await createReadModels(database.pool, [payments, users])
})

/** Lines about rebuilds, without those that are 0. */
async function scraped(now = () => performance.now()): Promise<string[]> {
  const registry = createMetrics('test')
  addRebuildMetrics(registry, database.pool, [payments, users], silent, now)
  return linesOf(await registry.metrics())
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('annals_rebuild') && !line.endsWith(' 0'))
    .map((line) => line.replace('service="test"', '').replace(/(\{|,),?/, '$1'))

async function failing(error: Error): Promise<void> {
  const run = recordingFailure(database.pool, [payments], new AbortController().signal, async () => {
    throw error
  })
  await expect(run).rejects.toBe(error)
}

it('tells nothing but zeros before there was a rebuild', async () => expect(await scraped()).toEqual([]))

it('tells a running, a failed, an interrupted, a dead and an aborted one apart', async () => {
  const { pool } = database
  const state = (name: string) =>
    expect.stringMatching(`annals_rebuild_state.*projection="payments".*state="${name}".* 1$`)
  const failures = (count: number) => expect.stringMatching(`annals_rebuild_failures_total.*"payments".* ${count}$`)
  await excludingRebuilds(pool, [payments], async () => {
    await openRebuild(pool, payments, 'rebuild')
    expect(await scraped()).toEqual(expect.arrayContaining([state('running')]))
    await failing(new Error('the disk is full'))
    await failing(Object.assign(new Error('told to end'), { name: 'AbortError' }))
  })
  expect(await scraped()).toEqual(expect.arrayContaining([state('interrupted'), failures(1)]))
  await excludingRebuilds(pool, [payments], () => openRebuild(pool, payments, 'rebuild'))
  expect(await scraped()).toEqual(expect.arrayContaining([state('died'), failures(1)]))
  await excludingRebuilds(pool, [payments], async () => {
    // The death is known now.
    await openRebuild(pool, payments, 'rebuild')
    await failing(Object.assign(new Error('payments: rebuilt and live differ'), { name: 'NotEqual' }))
  })
  expect(await scraped()).toEqual(expect.arrayContaining([state('differs'), failures(3)]))
  await failing(new Error('the disk is full'))
  expect(await scraped()).toEqual(expect.arrayContaining([state('failed'), failures(4)]))
  await abortRebuild(pool, 'payments', 'by a test')
  expect(await scraped()).toEqual(expect.arrayContaining([state('aborted'), failures(4)]))
  expect((await scraped()).filter((line) => line.includes('annals_rebuild_state'))).toHaveLength(1)
})

it('tells when a rebuild went live, and the lock of another projection makes none a running one', async () => {
  const { pool } = database
  const { id } = await openRebuild(pool, users, 'rebuild')
  await enterStage(pool, id, 'live')
  const other = await pool.connect()
  expect(await tryRebuildLock(other, 'users')).toBe(true)
  const lines = await scraped()
  other.release(true)
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/annals_rebuild_state.*"users".*state="live"/),
      expect.stringMatching(/annals_rebuild_last_success_timestamp_seconds.*"users".* 1\.?\d+(e\+?\d+)?/),
    ]),
  )
})

it('looks once in five seconds, and has no series while the database does not answer', async () => {
  let now = 0
  let queries = 0
  let isAway = false
  const pool = new Proxy(database.pool, {
    get: (real, name: keyof typeof database.pool) =>
      name === 'query'
        ? (...args: Parameters<typeof real.query>) => {
            queries += 1
            return real.query(...(isAway ? (['select 1/0'] as unknown as typeof args) : args))
          }
        : real[name],
  })
  const registry = createMetrics('test')
  addRebuildMetrics(registry, pool, [payments, users], silent, () => now)
  expect(linesOf(await registry.metrics()).length).toBeGreaterThan(3)
  await registry.metrics()
  expect(queries).toBe(2)
  now = 5_001
  isAway = true
  expect(linesOf(await registry.metrics())).toEqual([])
  isAway = false
  now = 10_002
  expect(linesOf(await registry.metrics()).length).toBeGreaterThan(3)
})
