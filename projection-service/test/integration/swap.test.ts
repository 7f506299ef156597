import { describe, expect, it, jest } from '@jest/globals'
import type { EventLog } from '@annals/platform/event-log'
import { createPool } from '@annals/platform/postgres'
import { prepared } from '../../src/engine/tables/prepared'
import { payments } from '../../src/projections'
import { rebuildAll, type RebuildDependencies } from '../../src/replay/rebuild/rebuild'
import { LogBehind, rollBack } from '../../src/replay/rebuild/swap'
import { silent } from '../support/database'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { createReadModels } from '../support/read-models'

jest.setTimeout(90_000)

const world = useOwnWorld()

const deps = (over: Partial<RebuildDependencies> = {}) => rebuildDependencies(world, over)

const discarded = async () => {
  const { rows } = await world.database.pool.query(`select from pg_namespace where nspname like '%\\_discarded%'`)
  return rows.length
}

describe('a swap', () => {
  it('never makes a reader wait for a lock, and none reads the former tables afterwards', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(20)).events)
    // A wait of a millisecond for any lock fails the read.
    const readers = createPool(world.database.url, silent, 4, { options: '-c lock_timeout=1' })
    const statement = prepared(`select min(tableoid) as oid, count(*) as n from payments.payment`)
    const read = async () => (await readers.query<{ oid: number; n: bigint }>(statement)).rows[0]!
    const live = async () =>
      (await world.database.pool.query(`select 'payments.payment'::regclass::oid as oid`)).rows[0].oid as number
    const reading = { on: true, count: 0 }
    const loop = async () => {
      for (; reading.on; reading.count++) expect((await read()).n).toBe(20n)
    }
    const loops = Promise.all([loop(), loop(), loop()])
    try {
      const seen = new Set([await live()])
      for (const change of [() => rebuildAll([payments], deps()), () => rollBack(world.database.pool, payments)]) {
        for (let i = 0; i < 2; i++) {
          await change()
          seen.add(await live())
          // Every connection has had the statement prepared since before the first swap.
          const found = await Promise.all(Array.from({ length: 4 }, read))
          expect(new Set(found.map(({ oid }) => oid))).toEqual(new Set([await live()]))
        }
      }
      expect(seen.size).toBe(3)
    } finally {
      reading.on = false
      await loops
      await readers.end()
    }
    expect(reading.count).toBeGreaterThan(20)
  })

  it('is done beside a reader that has held on to former tables since two swaps ago', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(30)).events)
    const reader = await world.database.pool.connect()
    await reader.query('begin')
    // On a busy machine three rebuilds take longer than a transaction may stand idle.
    await reader.query('set local idle_in_transaction_session_timeout = 0')
    await reader.query('declare c cursor for select payment_id from payments.payment')
    await reader.query('fetch 5 from c')
    for (let i = 0; i < 3; i++) await rebuildAll([payments], deps())
    expect(await discarded()).toBe(1)
    expect((await reader.query('fetch all from c')).rows).toHaveLength(25)
    await reader.query('commit')
    reader.release()
    await rebuildAll([payments], deps())
    expect(await discarded()).toBe(0)
  })

  /** Live goes on as often as told just when a catch-up of the swap has ended. @returns locks of generations held then. */
  async function overtaken(times: number): Promise<number[]> {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(5)).events)
    const state = { swapping: false, left: times }
    const held: number[] = []
    const log: EventLog = {
      ...world.own.log,
      async *readAll(options) {
        if (state.swapping) {
          const { rows } = await world.database.pool.query(
            `select count(*) as n from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
               and database = (select oid from pg_database where datname = current_database())`,
          )
          // One of them excludes other rebuilds.
          held.push(Number(rows[0].n) - 1)
        }
        yield* world.own.log.readAll(options)
        if (state.swapping && state.left-- > 0) await models.feed((await world.own.pay(1)).events)
      },
    }
    const observer = {
      progress: () => undefined,
      stage: (_: string, stage: string) => void (stage === 'swapping' && (state.swapping = true)),
    }
    await rebuildAll([payments], deps({ log, observer }))
    const all = await world.own.events()
    const { rows } = await world.database.pool.query(`select sum(revision + 1) as seen from payments.stream`)
    expect(Number(rows[0].seen)).toBe(all.length)
    return held
  }

  it('folds what live has applied meanwhile before it takes the lock again', async () => {
    expect(await overtaken(3)).toEqual([0, 0, 0, 0])
  })

  it('folds it within the lock when it would never come to an end otherwise', async () => {
    const held = await overtaken(20)
    expect(held).toEqual([...Array.from({ length: 20 }, () => 0), 1])
  })

  it('does not happen when the log lacks what live has applied', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(3)).events)
    await world.database.pool.query('update annals.lane_checkpoint set position = position + 1 where position > 0')
    await expect(rebuildAll([payments], deps())).rejects.toThrow(LogBehind)
  })
})
