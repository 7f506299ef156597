import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { createGeneration, indexStatements } from './generation'
import type { Projection } from '../definition/projection'

export interface Registered {
  version: number
  previousVersion: number | undefined
}

/** Advisory-lock key of a projection: a stable signed 64-bit number for its name, in a number space for each purpose. */
const lockKey = (purpose: 'generation' | 'rebuild', name: string) => `hashtextextended('annals.${purpose}.${name}', 0)`

/**
 * Statement of every projector transaction, first of all: while it is open no swap can happen, so all its statements meet
 * the same generation. (Renaming a schema takes no lock that a writer would notice.) Shared: partitions go on side by side.
 */
export const shareGenerationSql = (name: string): string =>
  `select pg_advisory_xact_lock_shared(${lockKey('generation', name)})`

/** The other side of it: waits for the projector transactions in hand and keeps new ones out until the end of this one. */
export const ownGenerationSql = (name: string): string => `select pg_advisory_xact_lock(${lockKey('generation', name)})`

/** Session-wide: two rebuilds of one projection exclude each other. @returns false when another holds it. */
export async function tryRebuildLock(client: PoolClient, name: string): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(
    `select pg_try_advisory_lock(${lockKey('rebuild', name)}) as held`,
  )
  return rows[0]!.held
}

export async function registered(db: Pool | PoolClient, name: string): Promise<Registered | undefined> {
  const { rows } = await db.query<{ version: number; previous_version: number | null }>(
    'select version, previous_version from annals.projection where name = $1',
    [name],
  )
  const row = rows[0]
  return row && { version: row.version, previousVersion: row.previous_version ?? undefined }
}

/**
 * Makes the live generation where there is none yet: empty, from the beginning of its topics. Safe to repeat and to race.
 * @returns the version that is live, which another release may have made.
 */
export async function installProjection(pool: Pool, projection: Projection): Promise<Registered> {
  // Asked first without standing in line: whoever stands there holds the projectors up.
  const installed = await registered(pool, projection.name)
  if (installed) return installed
  return inTransaction(pool, async (client) => {
    await client.query(ownGenerationSql(projection.name))
    const known = await registered(client, projection.name)
    if (known) return known
    await createGeneration(client, projection, 'live')
    for (const sql of indexStatements(projection, 'live')) await client.query(sql)
    await client.query('insert into annals.projection (name, version) values ($1, $2)', [
      projection.name,
      projection.version,
    ])
    return { version: projection.version, previousVersion: undefined }
  })
}
