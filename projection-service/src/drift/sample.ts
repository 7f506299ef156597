import { compareStream, type ComparisonDependencies } from './stream-comparison'
import { tablesOf, type Generation } from '../engine/generation'
import type { Projection } from '../engine/projection'
import type { Pool } from '@annals/platform/postgres'

/** Below so many streams all are looked through for a random choice; above, the server samples pages. */
const smallTable = 50_000
/** Pages that are sampled at least: choosing few by chance may choose none. A page holds some hundred streams. */
const sampledPages = 20

/** Names of random streams of a read model, none of which is blocked; fewer than `count` when there are no more. */
export async function randomStreams(
  pool: Pool,
  projection: Projection,
  generation: Generation,
  count: number,
): Promise<string[]> {
  const table = tablesOf(projection, generation).stream
  const { rows: sizes } = await pool.query<{ tuples: number; pages: number }>(
    `select reltuples::float8 as tuples, relpages::float8 as pages from pg_class where oid = $1::regclass`,
    [table],
  )
  const { tuples, pages } = sizes[0]!
  const percent = Math.min(100, (Math.max(sampledPages, count) / Math.max(1, pages)) * 100)
  // Whole pages, not rows by chance: only the chosen ones are read, however large the table.
  const sample = tuples > smallTable ? `tablesample system (${percent})` : ''
  const { rows } = await pool.query<{ stream: string }>(
    `select stream from ${table} ${sample} where not blocked order by random() limit ${count}`,
  )
  return rows.map(({ stream }) => stream)
}

/**
 * Folds random streams afresh from the log, each alone, and compares with the rows of a generation. Rows that several
 * streams share (grain `shard`) can not be told apart so; checksums alone speak for them.
 * @returns the streams that differ, and how many were compared.
 */
export async function compareSample(
  projection: Projection,
  generation: Generation,
  count: number,
  deps: ComparisonDependencies,
): Promise<{ compared: number; differing: string[] }> {
  if (projection.grain === 'shard') return { compared: 0, differing: [] }
  let compared = 0
  const differing: string[] = []
  for (const stream of await randomStreams(deps.pool, projection, generation, count)) {
    const { kind } = await compareStream(projection, generation, stream, deps)
    if (kind !== 'passed-over') compared += 1
    if (kind === 'differs') differing.push(stream)
  }
  return { compared, differing }
}
