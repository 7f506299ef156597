import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, it } from '@jest/globals'
import { createTopics } from '@annals/platform/kafka'
import { createLogger } from '@annals/platform/log'
import { createPool } from '@annals/platform/postgres'
import { eventually, requireEnv, TestScope, testScope, uniqueName } from '@annals/platform/testing'

const log = createLogger('test', 'silent')
const outer = testScope()
const recipe = { name: 'scope', migrations: path.join(__dirname, 'migrations') }

it('opens databases that are migrated, apart from each other, and drops them', async () => {
  const scope = new TestScope()
  outer.onEnd(() => scope.close())
  // At the same time, as workers of a run do.
  const [one, other] = await Promise.all([scope.database(recipe), scope.database(recipe)])
  await one.pool.query('insert into thing (id) values (1)')
  expect((await other.pool.query('select * from thing')).rowCount).toBe(0)
  expect((await other.pool.query('select * from schema_migration')).rowCount).toBe(1)
  // A test that failed may still hold a connection.
  await one.pool.connect()
  await scope.close()
  const admin = outer.add(createPool(requireEnv('POSTGRES_ADMIN_URL'), log, 1), (it) => it.end())
  const { rows } = await admin.query('select datname from pg_database where datname = any($1)', [
    [one.name, other.name],
  ])
  expect(rows).toEqual([])
})

it('migrates once, and again when a file of the recipe differs', async () => {
  const { pool } = await outer.database(recipe)
  const templates = async () => {
    const { rows } = await pool.query<{ datname: string }>(
      "select datname from pg_database where datname ~ '^test_template_scope_[0-9a-f]{12}$' order by 1",
    )
    return rows.map(({ datname }) => datname)
  }
  const before = await templates()
  await outer.database(recipe)
  expect(await templates()).toEqual(before)

  const folder = mkdtempSync(path.join(tmpdir(), 'annals-scope-'))
  outer.onEnd(() => rmSync(folder, { recursive: true }))
  const sql = path.join(folder, 'more.sql')
  // Of this run alone: a stack may be used again.
  writeFileSync(sql, `create table more (id integer); -- ${uniqueName('run')}`)
  const more = await outer.database({ ...recipe, sql: [sql] })
  expect((await more.pool.query('select * from more')).rowCount).toBe(0)
  const [made, ...others] = (await templates()).filter((name) => !before.includes(name))
  expect([made, others]).toEqual([expect.any(String), []])
  await pool.query(`drop database ${made}`)
})

it('makes topics, and deletes them', async () => {
  const scope = new TestScope()
  outer.onEnd(() => scope.close())
  const topic = uniqueName('test.scope')
  await scope.topics([{ topic, partitions: 2 }])
  const topics = createTopics({ brokers: requireEnv('KAFKA_BROKERS').split(','), clientId: 'test', log })
  expect(await topics.offsets(topic)).toHaveLength(2)
  await scope.close()
  await eventually(async () => expect(await topics.offsets(topic)).toBeUndefined())
})
