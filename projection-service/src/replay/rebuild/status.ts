import type { Pool } from '@annals/platform/postgres'
import { schemaOf, tablesOf } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { registered } from '../../engine/tables/registry'
import { rebuildHistory, type RebuildRecord } from './rebuild-history'
import { schemaExists } from './rebuild-state'
import { isEmpty, positionsOf } from './verify'

export interface Status {
  projection: string
  /** Of this release. */
  version: number
  /** `undefined`: never installed. */
  liveVersion: number | undefined
  previousVersion: number | undefined
  /** Nothing was ever applied to the live tables: a rebuild is their first build, to the end of the log. */
  empty: boolean
  rows: number
  parkedStreams: number
  /** The rebuild that is under way or was the last, if any. */
  rebuild: RebuildRecord | undefined
}

/** How a projection stands; row counts are the server's estimate where the table is large. */
export async function statusOf(pool: Pool, projection: Projection): Promise<Status> {
  const { name, version } = projection
  const known = await registered(pool, name)
  const there = known !== undefined && (await schemaExists(pool, schemaOf(name, 'live')))
  const tables = tablesOf(projection, 'live')
  const { rows: counts } = there
    ? await pool.query<{ rows: bigint; parked: bigint }>(
        `select (select count(*) from ${tables.rows}) as rows, (select count(distinct stream) from ${tables.parked}) as parked`,
      )
    : { rows: [{ rows: 0n, parked: 0n }] }
  const [last] = await rebuildHistory(pool, { projection: name, limit: 1 })
  return {
    projection: name,
    empty: !there || isEmpty(await positionsOf(pool, projection, 'live')),
    version,
    liveVersion: known?.version,
    previousVersion: known?.previousVersion,
    rows: Number(counts[0]!.rows),
    parkedStreams: Number(counts[0]!.parked),
    rebuild: last,
  }
}
