import { newId } from '@annals/platform/ids'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { createGeneration, schemaOf } from '../engine/generation'
import type { Projection } from '../engine/projection'

export type RebuildStage =
  'prepared' | 'folding' | 'catching-up' | 'indexing' | 'verifying' | 'swapping' | 'live' | 'aborted'

/** A rebuild as PostgreSQL remembers it; everything a killed one needs to go on. */
export interface Rebuild {
  id: string
  stage: RebuildStage
  /** Log position up to which the shadow holds all that it may hold; -1: nothing yet. */
  position: bigint
  events: bigint
  /** It was begun by another process, and goes on here. */
  resumed: boolean
}

/** Another process moved this rebuild: the one that finds out has to end. */
export class RebuildTaken extends Error {
  override readonly name = 'RebuildTaken'
}

interface Row {
  id: string
  state: RebuildStage
  version: number
  position: bigint
  events: bigint
}

/** The unfinished rebuild of a projection at its present version, or a new one with an empty shadow. */
export function openRebuild(pool: Pool, projection: Projection, restart = false): Promise<Rebuild> {
  const { name, version } = projection
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<Row>(
      `select id, state, version, position, events from annals.rebuild
       where projection = $1 and state not in ('live', 'aborted') for update`,
      [name],
    )
    const found = rows[0]
    if (found && found.version === version && !restart && (await schemaExists(client, schemaOf(name, 'next')))) {
      return { id: found.id, stage: found.state, position: found.position, events: found.events, resumed: true }
    }
    if (found) await abort(client, found.id, restart ? 'begun anew' : `version ${version} came after it`)
    await client.query(`drop schema if exists ${schemaOf(name, 'next')} cascade`)
    await createGeneration(client, projection, 'next')
    const id = newId()
    await client.query(`insert into annals.rebuild (id, projection, version, state) values ($1, $2, $3, 'prepared')`, [
      id,
      name,
      version,
    ])
    return { id, stage: 'prepared', position: -1n, events: 0n, resumed: false }
  })
}

const abort = (client: PoolClient, id: string, reason: string) =>
  client.query(`update annals.rebuild set state = 'aborted', reason = $2, updated_at = now() where id = $1`, [
    id,
    reason,
  ])

export async function schemaExists(client: PoolClient | Pool, schema: string): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_namespace where nspname = $1', [schema])
  return rowCount === 1
}

/** Remembers the stage; a report goes with it when there is one. */
export async function enterStage(
  pool: Pool | PoolClient,
  id: string,
  stage: RebuildStage,
  report?: object,
): Promise<void> {
  await pool.query(
    'update annals.rebuild set state = $2, report = coalesce($3::jsonb, report), updated_at = now() where id = $1',
    [id, stage, report === undefined ? null : JSON.stringify(report)],
  )
}

/** Ends an unfinished rebuild and drops its shadow. @returns false when there was none. */
export function abortRebuild(pool: Pool, name: string, reason: string): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `select id from annals.rebuild where projection = $1 and state not in ('live', 'aborted') for update`,
      [name],
    )
    await client.query(`drop schema if exists ${schemaOf(name, 'next')} cascade`)
    if (!rows[0]) return false
    await abort(client, rows[0].id, reason)
    return true
  })
}

/**
 * Moves the rebuild within the transaction that writes the shadow.
 * @throws RebuildTaken when it is not where this process left it.
 */
export async function moveRebuild(
  client: PoolClient,
  id: string,
  from: Pick<Rebuild, 'position' | 'events'>,
  to: Pick<Rebuild, 'position' | 'events'>,
): Promise<void> {
  const { rowCount } = await client.query(
    `update annals.rebuild set position = $2, events = $3, updated_at = now()
     where id = $1 and position = $4 and events = $5 and state not in ('live', 'aborted')`,
    [id, to.position, to.events, from.position, from.events],
  )
  if (rowCount !== 1) throw new RebuildTaken('another process goes on with this rebuild, or has aborted it')
}
