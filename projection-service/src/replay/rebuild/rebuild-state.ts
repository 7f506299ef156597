import { newId } from '@annals/platform/ids'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { createGeneration, schemaOf } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { workedSql } from './rebuild-run'

export type RebuildStage =
  'prepared' | 'folding' | 'catching-up' | 'indexing' | 'verifying' | 'swapping' | 'live' | 'aborted'

/** Why a shadow is built: to take the place of live, or only to be compared with it. */
export type Purpose = 'rebuild' | 'verify'

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
  constructor() {
    super('another process continues this rebuild, or has aborted it')
  }
}

/** A rebuild is unfinished, and what it has done would be lost. */
export class RebuildUnfinished extends Error {
  override readonly name = 'RebuildUnfinished'
}

interface Row {
  id: string
  state: RebuildStage
  purpose: Purpose
  version: number
  position: bigint
  events: bigint
}

/**
 * The unfinished rebuild of a projection at its present version, or a new one with an empty shadow. A rebuild goes on with the
 * shadow of an unfinished verification.
 * @param restart throws away what was done.
 * @param actor who is recorded as the one who runs it.
 * @throws RebuildUnfinished when a verification would end an unfinished rebuild.
 */
export function openRebuild(
  pool: Pool,
  projection: Projection,
  purpose: Purpose,
  restart = false,
  actor?: string,
): Promise<Rebuild> {
  const { name, version } = projection
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<Row>(
      `select id, state, purpose, version, position, events from annals.rebuild
       where projection = $1 and state not in ('live', 'aborted') for update`,
      [name],
    )
    const found = rows[0]
    if (found?.purpose === 'rebuild' && purpose === 'verify' && !restart)
      throw new RebuildUnfinished(
        `${name}: an unfinished rebuild is there; let it go on, or \`replay abort ${name}\` first`,
      )
    if (found && found.version === version && !restart && (await schemaExists(client, schemaOf(name, 'next')))) {
      // A run that left no reason has died. The time since was not spent on it.
      await client.query(
        `update annals.rebuild set purpose = $2, runs = runs + 1, actor = $3,
           failures = failures + (failure is null)::integer, failure = null, updated_at = now() where id = $1`,
        [found.id, purpose, actor ?? null],
      )
      return { id: found.id, stage: found.state, position: found.position, events: found.events, resumed: true }
    }
    if (found) await abort(client, found.id, restart ? 'begun anew' : `version ${version} came after it`)
    await client.query(`drop schema if exists ${schemaOf(name, 'next')} cascade`)
    await createGeneration(client, projection, 'next')
    const id = newId()
    await client.query(
      `insert into annals.rebuild (id, projection, version, state, purpose, actor)
       values ($1, $2, $3, 'prepared', $4, $5)`,
      [id, name, version, purpose, actor ?? null],
    )
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
    `update annals.rebuild set state = $2, report = coalesce($3::jsonb, report), ${workedSql} where id = $1`,
    [id, stage, report === undefined ? null : JSON.stringify(report)],
  )
}

/** Ends a verification: what it found is kept, its shadow dropped. @throws RebuildTaken */
export function endVerification(
  pool: Pool,
  name: string,
  id: string,
  report: Readonly<Record<string, unknown>>,
): Promise<void> {
  return inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `update annals.rebuild set state = 'aborted', reason = $2, report = $3, ${workedSql}
       where id = $1 and state = 'verifying'`,
      [id, report['equal'] ? 'only verified: equal' : 'only verified: differs', JSON.stringify(report)],
    )
    if (rowCount !== 1) throw new RebuildTaken()
    await client.query(`drop schema ${schemaOf(name, 'next')} cascade`)
  })
}

/** What became of a rebuild, or of a verification. */
export type RebuildEnd = 'swapped' | 'verified-equal' | 'verified-differs' | 'aborted' | 'unfinished'

/** @param row of annals.rebuild. */
export function outcomeOf(row: { state: string; purpose: string; report: { equal?: unknown } | null }): RebuildEnd {
  if (row.state === 'live') return 'swapped'
  if (row.state !== 'aborted') return 'unfinished'
  // A verification has a report only when it came to its end.
  if (row.purpose !== 'verify' || !row.report) return 'aborted'
  return row.report.equal === true ? 'verified-equal' : 'verified-differs'
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
    `update annals.rebuild set position = $2, events = $3, ${workedSql}
     where id = $1 and position = $4 and events = $5 and state not in ('live', 'aborted')`,
    [id, to.position, to.events, from.position, from.events],
  )
  if (rowCount !== 1) throw new RebuildTaken()
}
