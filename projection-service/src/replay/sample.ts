import { placeOf, type OpenAll } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import type { Pool } from '@annals/platform/postgres'
import type { Row } from '../engine/columns'
import { applyEvent, readFor, type Memory, type StreamState } from '../engine/fold'
import { tablesOf, type Generation } from '../engine/generation'
import { encodeRow, type Projection, type StoredRow } from '../engine/projection'
import { rowTable } from '../engine/row-table'

interface Sampled {
  stream: string
  revision: bigint
}

/** Below so many streams all are looked through for a random choice; above, the server samples pages. */
const smallTable = 50_000

async function randomStreams(pool: Pool, table: string, count: number): Promise<Sampled[]> {
  const { rows } = await pool.query<{ n: number }>(
    `select reltuples::float8 as n from pg_class where oid = $1::regclass`,
    [table],
  )
  const tuples = rows[0]!.n
  const sample = tuples > smallTable ? `tablesample bernoulli (${((count * 20) / tuples) * 100})` : ''
  const { rows: found } = await pool.query<Sampled>(
    `select stream, revision from ${table} ${sample} where not blocked order by random() limit ${count}`,
  )
  return found
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
  { pool, log, openAll }: { pool: Pool; log: EventLog; openAll: OpenAll },
): Promise<{ compared: number; differing: string[] }> {
  if (projection.grain === 'shard') return { compared: 0, differing: [] }
  const tables = tablesOf(projection, generation)
  const table = rowTable(projection, tables.rows)
  const streams = await randomStreams(pool, tables.stream, count)
  const differing: string[] = []
  for (const { stream, revision } of streams) {
    const expected = await foldStream(projection, stream, revision, log, openAll)
    const client = await pool.connect()
    try {
      const found = await table.load(client, expected)
      const stored = new Map(found.map((row) => [row.key, encodeRow(projection, row)]))
      const same = expected.every((row) => {
        const other = stored.get(row.key)
        return other !== undefined && sameValues(projection, encodeRow(projection, row), other)
      })
      if (!same) differing.push(stream)
    } finally {
      client.release()
    }
  }
  return { compared: streams.length, differing }
}

/** JSON comes back from PostgreSQL with its keys in another order. */
function sameValues(projection: Projection, a: readonly (string | null)[], b: readonly (string | null)[]): boolean {
  const kinds = Object.values(projection.columns)
  const offset = a.length - kinds.length
  return a.every((value, i) => {
    const kind = kinds[i - offset]
    if (value === b[i]) return true
    if (!kind?.startsWith('jsonb') || value === null || b[i] === null) return false
    return canonicalJson(value) === canonicalJson(b[i]!)
  })
}

const canonicalJson = (text: string): string =>
  JSON.stringify(JSON.parse(text), (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )

async function foldStream(
  projection: Projection,
  stream: string,
  revision: bigint,
  log: EventLog,
  openAll: OpenAll,
): Promise<StoredRow[]> {
  const recorded = (await log.readStream(stream)).filter((event) => event.revision <= revision)
  const readings = await readFor(projection, recorded, openAll)
  const partition = placeOf(stream)?.partition ?? 0
  const rows = new Map<string, StoredRow>()
  const streams = new Map<string, StreamState>()
  const memory: Memory = {
    row: (name): Row | undefined => rows.get(name)?.row,
    setRow: (name, row) => rows.set(name, row),
    stream: (name) => streams.get(name),
    setStream: (name, state) => streams.set(name, state),
    park: () => undefined,
  }
  for (const [i, event] of recorded.entries()) {
    applyEvent(projection, memory, { recorded: event, partition, reading: readings[i]! })
  }
  return [...rows.values()]
}
