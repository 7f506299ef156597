import type { Pool } from '@annals/platform/postgres'
import { tablesOf, type Generation, type Tables } from '../engine/tables/generation'
import type { Projection } from '../engine/definition/projection'
import { snapshotOf } from '../engine/tables/snapshot-label'

/** The read models that a query API serves: live ones, or what they were at a point of the log. */
export interface ReadModels {
  pool: Pool
  generation: Generation
  tables(projection: Projection): Tables
}

export const readModels = (pool: Pool, generation: Generation = 'live'): ReadModels => ({
  pool,
  generation,
  tables: (projection) => tablesOf(projection, generation),
})

/** SQLSTATE of a schema or table that is not there: no projector has made it yet. */
const missing = new Set(['42P01', '3F000'])

/** Whether a query met something that no projector has made yet. */
export const isMissingTable = (error: unknown): boolean =>
  missing.has(String((error as { code?: unknown } | null)?.code))

/** What `READ_MODELS` names: `live`, or `asof:<label>`. `undefined`: neither. */
export function generationNamed(text: string): Generation | undefined {
  if (text === 'live') return 'live'
  return text.startsWith('asof:') ? snapshotOf(text.slice('asof:'.length)) : undefined
}
