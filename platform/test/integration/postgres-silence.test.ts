import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createLogger } from '@annals/platform/log'
import {
  createPool,
  inTransaction,
  isTransientPostgresError,
  longQuery,
  type Pool,
  type PoolClient,
} from '@annals/platform/postgres'
import { eventually, proxyOf, requireEnv, uniqueName } from '@annals/platform/testing'

/** Deadlines of these tests: 0.5 s at the server, 1.5 s on our side. */
const statementMs = 500
const queryMs = 1_500
const connections = 10

const silent = createLogger('test', 'silent')
const table = uniqueName('silence').replace('.', '_')
let proxy: Awaited<ReturnType<typeof proxyOf>>
/** Beside the proxy: what the server really holds. */
let direct: Pool
let pool: Pool

beforeAll(async () => {
  direct = createPool(requireEnv('POSTGRES_ADMIN_URL'), silent, 3)
  await direct.query(`create table ${table} (id integer primary key, count integer not null)`)
})
beforeEach(async () => {
  await direct.query(`truncate ${table}; insert into ${table} values (1, 0)`)
  proxy = await proxyOf(requireEnv('POSTGRES_ADMIN_URL'), 5432)
  pool = createPool(proxy.url, silent, connections, {
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: 1_000,
  })
})
afterEach(async () => {
  await pool.end()
  await proxy.close()
})
afterAll(async () => {
  await direct?.query(`drop table ${table}`)
  await direct?.end()
})

/** All connections of the pool exist, and are idle. */
async function fill(): Promise<void> {
  const clients: PoolClient[] = []
  for (let i = 0; i < connections; i++) clients.push(await pool.connect())
  for (const client of clients) client.release()
  expect(pool.idleCount).toBe(connections)
}

async function failureOf(work: Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const began = performance.now()
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return { error, ms: performance.now() - began }
}

const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
const countNow = async () => (await direct.query<{ count: number }>(`select count from ${table}`)).rows[0]!.count
const add = (db: Pool | PoolClient) => db.query(`update ${table} set count = count + 1 where id = 1`)

describe('connections that fall silent', () => {
  it('cost one deadline, not one each: the idle ones beside are not trusted any more', async () => {
    await fill()
    proxy.silence('established')
    const { error, ms } = await failureOf(pool.query('select 1'))
    expect(isTransientPostgresError(error)).toBe(true)
    expect(ms).toBeGreaterThan(queryMs - 200)
    expect(ms).toBeLessThan(queryMs + 1_000)

    const next = await failureOf(pool.query('select 1'))
    expect(next.error).toBeUndefined()
    expect(next.ms).toBeLessThan(1_000)
    expect(proxy.accepted).toBe(connections + 1)
  })

  it('do not cost those beside that were made meanwhile', async () => {
    await fill()
    const held = await pool.connect()
    proxy.silence('established')
    const first = failureOf(pool.query('select 1'))
    await eventually(() => expect(pool.idleCount).toBe(connections - 2))
    // Asked after that: when it is lost in turn, another one has been made, asked and heard.
    await first
    const second = failureOf(held.query('select 1'))
    await pool.query('select 1')
    const { accepted } = proxy
    expect((await second).error).toBeDefined()
    held.release(true)
    await pool.query('select 1')
    expect(proxy.accepted).toBe(accepted)
  })

  it('are found out by transactions too, whose rollback costs nothing more', async () => {
    await fill()
    const { error, ms } = await failureOf(
      inTransaction(pool, async (client) => {
        await add(client)
        proxy.silence('established')
        await add(client)
      }),
    )
    expect(isTransientPostgresError(error)).toBe(true)
    expect(ms).toBeLessThan(queryMs + 1_000)
    expect(pool.idleCount).toBe(0)
    // The server lets go of the row by itself: whoever repeats the work gets it.
    await eventually(() => inTransaction(pool, add))
    expect(await countNow()).toBe(1)
  })

  it('in a commit leave it done or not done, never half', async () => {
    const { error } = await failureOf(
      inTransaction(pool, async (client) => {
        await add(client)
        await add(client)
        proxy.silence('established', 'answers')
      }),
    )
    expect(isTransientPostgresError(error)).toBe(true)
    await eventually(async () => expect(await countNow()).toBe(2))
    await inTransaction(pool, add)
    expect(await countNow()).toBe(3)
  })

  it('are given up when they are made, and work when the server is back', async () => {
    proxy.silence('new')
    const { error, ms } = await failureOf(pool.query('select 1'))
    expect(isTransientPostgresError(error)).toBe(true)
    expect(ms).toBeLessThan(7_000)
    proxy.restore()
    await pool.query('select 1')
  })

  it('do not hold up the end of a pool, and leave no socket behind', async () => {
    await fill()
    proxy.silence('established')
    const other = createPool(proxy.url, silent, 2)
    await other.query('select 1')
    proxy.silence('established')
    const before = sockets()
    const { error, ms } = await failureOf(other.end())
    expect(error).toBeUndefined()
    expect(ms).toBeLessThan(1_000)
    await eventually(() => expect(sockets()).toBe(before - 1))
  })
})

describe('a statement', () => {
  it('is ended by the server when it takes longer than the pool allows, and the connection is kept', async () => {
    const { error } = await failureOf(pool.query('select pg_sleep(3)'))
    expect(error).toMatchObject({ code: '57014' })
    expect(isTransientPostgresError(error)).toBe(true)
  })

  it('that is known to be long has a deadline of its own, and only it', async () => {
    await longQuery(pool, 'select pg_sleep(2)')
    await longQuery(pool, 'select pg_sleep($1)', [0.7])
    expect((await failureOf(longQuery(pool, 'select pg_sleep(2)', [], 600))).error).toMatchObject({ code: '57014' })
    const { rows } = await pool.query<{ statement_timeout: string }>('show statement_timeout')
    expect(rows).toEqual([{ statement_timeout: '500ms' }])
  })

  it('is not waited for by others when its process stands still between two of them', async () => {
    const stopped = inTransaction(pool, async (client) => {
      await add(client)
      // As a process that was stopped: it says nothing more, and closes nothing.
      await eventually(() => add(direct))
      await add(client)
    })
    const { error } = await failureOf(stopped)
    expect(isTransientPostgresError(error)).toBe(true)
    expect(await countNow()).toBe(1)
  })
})
