import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createLogger } from '../log'
import { createPool, migrate, type Pool } from '../postgres'
import { eventually, requireEnv } from './waiting'
import type { TestScope } from './scope'

/** How a database is made. */
export interface DatabaseRecipe {
  /** Stands in its name: whose it is. */
  name: string
  /** The folder of its migrations. */
  migrations: string
  /** Files of SQL that are run after them. */
  sql?: readonly string[]
  /** Connections of its pool at most. Default: 12. */
  connections?: number
}

/** A database of a test's own on the real server. */
export interface TestDatabase {
  name: string
  url: string
  pool: Pool
}

const silent = createLogger('test', 'silent')

/** How long the connections of a test that failed are waited for, in ms. The server ends them afterwards. */
const poolEndMsMax = 2_000

/** Another worker may migrate the template for so long, in ms. */
const templateMsMax = 60_000

/** Opens a database, and drops it when the scope ends. */
export async function openDatabase(scope: TestScope, recipe: DatabaseRecipe): Promise<TestDatabase> {
  const name = `test_${recipe.name}_${randomUUID().slice(0, 8)}`
  await asAdmin(async (admin) => {
    const template = await templateOf(admin, recipe)
    await admin.query(`create database ${name} template ${template}`)
  })
  scope.onEnd(() => asAdmin((admin) => admin.query(`drop database ${name} with (force)`)), `database ${name}`)
  const url = urlOf(name)
  const pool = createPool(url, silent, recipe.connections ?? 12)
  scope.onEnd(async () => {
    const giveUp = new AbortController()
    const ended = pool.ended ? undefined : pool.end()
    await Promise.race([ended, delay(poolEndMsMax, undefined, { signal: giveUp.signal }).catch(() => undefined)])
    giveUp.abort()
  }, `pool of ${name}`)
  return { name, url, pool }
}

async function asAdmin<T>(work: (admin: Pool) => Promise<T>): Promise<T> {
  const admin = createPool(requireEnv('POSTGRES_ADMIN_URL'), silent, 1, { statement_timeout: templateMsMax })
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}

const urlOf = (name: string) => Object.assign(new URL(requireEnv('POSTGRES_ADMIN_URL')), { pathname: `/${name}` }).href

/**
 * Name of the database that those of a recipe are copied from. Its name carries a hash of all that it is made of, so that what was
 * migrated once serves every file and every run on the same server. A stack that is kept keeps a template of each state
 * of the migrations, some 8 MB each, until it is reset.
 */
async function templateOf(admin: Pool, { name, migrations, sql = [] }: DatabaseRecipe): Promise<string> {
  const files = [
    ...readdirSync(migrations)
      .toSorted()
      .map((file) => path.join(migrations, file)),
    ...sql,
  ]
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${path.basename(file)}\n${readFileSync(file, 'utf8')}\n`)
  const template = `test_template_${name}_${hash.digest('hex').slice(0, 12)}`
  const isThere = async () =>
    (await admin.query('select from pg_database where datname = $1', [template])).rowCount === 1
  if (await isThere()) return template

  // The pool has one connection: lock and unlock are of the same session. Another worker that comes meanwhile waits for it.
  await admin.query('select pg_advisory_lock(hashtext($1))', [template])
  try {
    if (await isThere()) return template
    // Under another name until it is whole: who is interrupted leaves nothing that others would copy.
    const unfinished = `${template}_unfinished`
    await admin.query(`drop database if exists ${unfinished} with (force)`)
    await admin.query(`create database ${unfinished}`)
    await migrate(urlOf(unfinished), migrations, silent)
    const pool = createPool(urlOf(unfinished), silent, 1)
    for (const file of sql) await pool.query(readFileSync(file, 'utf8'))
    await pool.end()
    // A session ends some moments after its client has gone.
    await eventually(() => admin.query(`alter database ${unfinished} rename to ${template}`))
    // It can be copied only while nobody is connected to it.
    await admin.query(`alter database ${template} allow_connections false`)
  } finally {
    await admin.query('select pg_advisory_unlock(hashtext($1))', [template])
  }
  return template
}
