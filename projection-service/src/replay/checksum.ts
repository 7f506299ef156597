import type { Pool, PoolClient } from '@annals/platform/postgres'
import { tablesOf, type Generation } from '../engine/generation'
import type { Projection } from '../engine/projection'
import { columnsOf, keyWidth } from '../engine/projection'

export interface Checksum {
  rows: bigint
  /** Sum of the rows' 64-bit hashes: the same for the same rows in any order. */
  hash: string
  streams: bigint
  streamHash: string
}

/** A row as text is the same on both sides: same columns in the same order, one server, one session setting. */
const hashOf = (alias: string) => `hashtextextended(${alias}::text, 0)`

/** Counts and order-independent checksums of a generation's rows and stream revisions. */
export async function checksumOf(
  db: Pool | PoolClient,
  projection: Projection,
  generation: Generation,
): Promise<Checksum> {
  const { rows, stream } = tablesOf(projection, generation)
  const { rows: found } = await db.query<Checksum>(
    `select r.rows, r.hash, s.streams, s.stream_hash as "streamHash"
     from (select count(*) as rows, coalesce(sum(${hashOf('t')}), 0)::text as hash from ${rows} t) r,
          (select count(*) as streams, coalesce(sum(${hashOf('s')}), 0)::text as stream_hash from ${stream} s) s`,
  )
  return found[0]!
}

export const isSame = (a: Checksum, b: Checksum): boolean =>
  a.rows === b.rows && a.hash === b.hash && a.streams === b.streams && a.streamHash === b.streamHash

interface Hashed {
  key: string
  hash: bigint
}

/** Rows fetched at once by each side of a comparison. */
const fetchSize = 5_000

/** Reads keys and hashes of a table in order of the keys, within the transaction that `client` is in. */
async function* hashes(client: PoolClient, table: string, keyColumns: readonly string[]): AsyncGenerator<Hashed> {
  const key = keyColumns.map((column) => `${column}::text`).join(` || '|' || `)
  const cursor = `c_${Math.random().toString(36).slice(2)}`
  await client.query(
    `declare ${cursor} no scroll cursor for
     select (${key}) collate "C" as key, ${hashOf('t')} as hash from ${table} t order by 1`,
  )
  for (;;) {
    const { rows } = await client.query<Hashed>(`fetch ${fetchSize} from ${cursor}`)
    yield* rows
    if (rows.length < fetchSize) return
  }
}

/**
 * Keys whose rows differ, or are on one side only. Both clients are in a transaction of their own.
 * @param max the search ends when so many were found.
 */
export async function differingKeys(
  projection: Projection,
  live: PoolClient,
  next: PoolClient,
  max: number,
): Promise<string[]> {
  const sides = (['rows', 'stream'] as const).map((name) => ({
    live: tablesOf(projection, 'live')[name],
    next: tablesOf(projection, 'next')[name],
    keyColumns:
      name === 'stream'
        ? ['stream']
        : columnsOf(projection)
            .slice(0, keyWidth(projection))
            .map(([column]) => column),
  }))
  const differing = new Set<string>()
  for (const { live: liveTable, next: nextTable, keyColumns } of sides) {
    const a = hashes(live, liveTable, keyColumns)
    const b = hashes(next, nextTable, keyColumns)
    let left = await a.next()
    let right = await b.next()
    while ((!left.done || !right.done) && differing.size < max) {
      const order = left.done ? 1 : right.done ? -1 : compareBytes(left.value.key, right.value.key)
      if (order < 0) differing.add(`${(left.value as Hashed).key} (only live)`)
      else if (order > 0) differing.add(`${(right.value as Hashed).key} (only rebuilt)`)
      else if ((left.value as Hashed).hash !== (right.value as Hashed).hash) {
        differing.add((left.value as Hashed).key)
      }
      if (order <= 0) left = await a.next()
      if (order >= 0) right = await b.next()
    }
    if (differing.size >= max) break
  }
  return [...differing]
}

/** As PostgreSQL's "C" collation orders UTF-8. */
const compareBytes = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)))
