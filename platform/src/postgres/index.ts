import path from 'node:path'
import { Pool, types, type PoolClient, type PoolConfig } from 'pg'
import type { Logger } from 'pino'

export type { Pool, PoolClient } from 'pg'
export { isTransientPostgresError } from './transient'

/** Positions and counts are int8: as bigint they are exact; pg's own default is text. */
types.setTypeParser(types.builtins.INT8, (text) => BigInt(text))
/** Times cross our code as ISO 8601 text in UTC, never as local dates. */
types.setTypeParser(types.builtins.TIMESTAMPTZ, (text) => new Date(text).toISOString())
types.setTypeParser(types.builtins.DATE, (text) => text)

/** A pool whose waits are all bounded. `size`: connections at most. */
export function createPool(connectionString: string, log: Logger, size = 10, extra: PoolConfig = {}): Pool {
  const pool = new Pool({
    connectionString,
    max: size,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    ...extra,
  })
  // An idle connection that the server closed: the pool makes a new one, the process must not end of it.
  // Its text only: the error carries the whole client.
  pool.on('error', ({ message }) => log.warn({ reason: message }, 'idle PostgreSQL connection lost'))
  // A connection that is lost while it is in use fails the query in hand; without a listener it would end the process too.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let failed: Error | undefined
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    failed = error as Error
    await client.query('rollback').catch(() => undefined)
    throw error
  } finally {
    // A connection that failed may be half dead: it is thrown away rather than handed on.
    client.release(failed)
  }
}

/**
 * Applies a service's plain SQL migrations, in order, each in its own transaction, under an advisory lock.
 * @param directory holds `NNNN-what.sql` files.
 */
export async function migrate(databaseUrl: string, directory: string, log: Logger): Promise<string[]> {
  // Loaded on demand: its 0.2 s of start-up are for the one process that migrates.
  const { runner } = await import('node-pg-migrate')
  const applied = await runner({
    databaseUrl,
    dir: path.join(directory, '*.sql'),
    useGlob: true,
    direction: 'up',
    migrationsTable: 'schema_migration',
    count: Number.POSITIVE_INFINITY,
    singleTransaction: false,
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (message: string) => log.warn(message),
      error: (message: string) => log.error(message),
    },
  })
  const names = applied.map(({ name }) => name)
  log.info({ applied: names }, names.length ? 'migrated' : 'nothing to migrate')
  return names
}
