import path from 'node:path'
import { Pool, types, type PoolClient, type PoolConfig, type QueryResult, type QueryResultRow } from 'pg'
import type { Logger } from 'pino'
import { isoTime } from './iso-time'
import { besideSilence, postgresDeadlines, queryMsFor, throwAwaySilent } from './deadlines'

export type { Pool, PoolClient } from 'pg'
export { isoTime } from './iso-time'
export { postgresDeadlines } from './deadlines'
export { isDataException, isTransientPostgresError } from './transient'

/** Positions and counts are int8: as bigint they are exact; pg's own default is text. */
types.setTypeParser(types.builtins.INT8, (text) => BigInt(text))
/** Times cross our code as ISO 8601 text in UTC, never as local dates. */
types.setTypeParser(types.builtins.TIMESTAMPTZ, isoTime)
types.setTypeParser(types.builtins.DATE, (text) => text)

/**
 * A pool whose waits are all bounded: for a connection, for every answer, and between the statements of a transaction. A
 * statement that is not answered in time throws its connection away, and the idle ones with it.
 * @param size connections at most.
 * @param extra a `statement_timeout` of its own moves our deadline with it.
 */
export function createPool(connectionString: string, log: Logger, size = 10, extra: PoolConfig = {}): Pool {
  const statementMs = Number(extra.statement_timeout) || postgresDeadlines.statementMs
  const pool = new Pool({
    connectionString,
    max: size,
    connectionTimeoutMillis: postgresDeadlines.connectMs,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: postgresDeadlines.keepAliveMs,
    statement_timeout: statementMs,
    query_timeout: queryMsFor(statementMs),
    idle_in_transaction_session_timeout: postgresDeadlines.idleInTransactionMs,
    ...extra,
  })
  // An idle connection that the server closed: the pool makes a new one, the process must not end of it.
  // Its text only: the error carries the whole client.
  pool.on('error', ({ message }) => {
    if (message !== besideSilence) log.warn({ reason: message }, 'idle PostgreSQL connection lost')
  })
  // A connection that is lost while it is in use fails the query in hand; without a listener it would end the process too.
  pool.on('connect', (client) => client.on('error', () => undefined))
  throwAwaySilent(pool, (thrownAway) =>
    log.warn({ thrownAway }, 'PostgreSQL fell silent: its connections are opened again'),
  )
  return pool
}

/**
 * Asks what may take long: the deadlines of this one statement, on both sides, are `withinMs` instead of the pool's.
 * @param db a client must be in a transaction; the server keeps the longer deadline until that ends.
 */
export async function longQuery<Row extends QueryResultRow>(
  db: Pool | PoolClient,
  text: string,
  values: readonly unknown[] = [],
  withinMs: number = postgresDeadlines.longStatementMs,
): Promise<QueryResult<Row>> {
  if ('totalCount' in db) return inTransaction(db, (client) => longQuery<Row>(client, text, values, withinMs))
  await db.query(`set local statement_timeout = ${withinMs}`)
  // pg reads it, its types do not know it.
  const query = { text, values: [...values], query_timeout: queryMsFor(withinMs) }
  return db.query<Row>(query)
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
    databaseUrl: {
      connectionString: databaseUrl,
      connectionTimeoutMillis: postgresDeadlines.connectMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: postgresDeadlines.keepAliveMs,
      // A migration may rewrite a table.
      statement_timeout: postgresDeadlines.longStatementMs,
      query_timeout: queryMsFor(postgresDeadlines.longStatementMs),
    },
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
