import { longQuery, type Pool, type PoolClient } from '@annals/platform/postgres'
import { isChain } from '../../engine/definition/chain'
import { tablesOf, type Generation } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { columnsOf, keyWidth } from '../../engine/definition/projection'

export interface Checksum {
  rows: bigint
  /** Sum of the rows' 64-bit hashes: the same for the same rows in any order. */
  hash: string
  streams: bigint
  streamHash: string
}

/** Of a chain that is live no revisions are kept: it is not in the lane, and needs none. */
const hasStreams = (projection: Projection): boolean => !isChain(projection)

/** A row as text is the same on both sides: same columns in the same order, one server, one session setting. */
const hashOf = (alias: string) => `hashtextextended(${alias}::text, 0)`

/** Counts and order-independent checksums of a generation's rows and stream revisions. A client is in a transaction. */
export async function checksumOf(
  db: Pool | PoolClient,
  projection: Projection,
  generation: Generation,
): Promise<Checksum> {
  const { rows, stream } = tablesOf(projection, generation)
  const { rows: found } = await longQuery<Checksum>(
    db,
    `select r.rows, r.hash, s.streams, s.stream_hash as "streamHash"
     from (select count(*) as rows, coalesce(sum(${hashOf('t')}), 0)::text as hash from ${rows} t) r,
          (select count(*) as streams, coalesce(sum(${hashOf('s')}), 0)::text as stream_hash from ${stream} s
           where ${hasStreams(projection)}) s`,
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
    // The first one waits for all of them to be sorted.
    const { rows } = await longQuery<Hashed>(client, `fetch ${fetchSize} from ${cursor}`)
    yield* rows
    if (rows.length < fetchSize) return
  }
}

/** How many keys differ between live and rebuilt. */
export interface DifferenceCounts {
  changed: number
  onlyLive: number
  onlyRebuilt: number
}

export interface Differences {
  rows: DifferenceCounts
  streams: DifferenceCounts
  /** Keys of rows, then names of streams; with `(only live)` or `(only rebuilt)` behind those that are on one side. */
  keys: string[]
}

/**
 * Goes through both sides for what differs. Both clients are in a transaction of their own; 10,000 keys are in memory.
 * @param max keys told of the rows, and names of the streams; all are counted.
 */
export async function differencesBetween(
  projection: Projection,
  live: PoolClient,
  next: PoolClient,
  max: number,
): Promise<Differences> {
  const keys: string[] = []
  const compare = async (table: 'rows' | 'stream', keyColumns: readonly string[]): Promise<DifferenceCounts> => {
    const counts: DifferenceCounts = { changed: 0, onlyLive: 0, onlyRebuilt: 0 }
    const last = keys.length + max
    const tell = (kind: keyof DifferenceCounts, text: string) => {
      counts[kind] += 1
      if (keys.length < last) keys.push(text)
    }
    const a = hashes(live, tablesOf(projection, 'live')[table], keyColumns)
    const b = hashes(next, tablesOf(projection, 'next')[table], keyColumns)
    let left = await a.next()
    let right = await b.next()
    for (;;) {
      if (left.done && right.done) return counts
      const order = left.done ? 1 : right.done ? -1 : compareBytes(left.value.key, right.value.key)
      if (order < 0) tell('onlyLive', `${(left.value as Hashed).key} (only live)`)
      else if (order > 0) tell('onlyRebuilt', `${(right.value as Hashed).key} (only rebuilt)`)
      else if ((left.value as Hashed).hash !== (right.value as Hashed).hash) tell('changed', (left.value as Hashed).key)
      if (order <= 0) left = await a.next()
      if (order >= 0) right = await b.next()
    }
  }
  const rowKey = columnsOf(projection).slice(0, keyWidth(projection))
  const rows = await compare(
    'rows',
    rowKey.map(([column]) => column),
  )
  const none = { changed: 0, onlyLive: 0, onlyRebuilt: 0 }
  return { rows, streams: hasStreams(projection) ? await compare('stream', ['stream']) : none, keys }
}

/** As PostgreSQL's "C" collation orders UTF-8. */
const compareBytes = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)))
