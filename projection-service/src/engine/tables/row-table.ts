import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import type { PoolClient } from '@annals/platform/postgres'
import { from as copyFrom } from 'pg-copy-streams'
import { copyLine, typeOf } from '../definition/columns'
import { prepared } from './prepared'
import {
  columnsOf,
  decodeRow,
  encodeRow,
  keyWidth,
  type Projection,
  type RowKey,
  type StoredRow,
} from '../definition/projection'

/** Reads and writes the rows of one projection's table, many at a time. */
export interface RowTable {
  load(client: PoolClient, keys: readonly RowKey[]): Promise<StoredRow[]>
  /** Inserts or replaces. */
  upsert(client: PoolClient, rows: readonly StoredRow[]): Promise<void>
  /** Inserts rows that are known not to be there: several times as fast. */
  copy(client: PoolClient, rows: Iterable<StoredRow>): Promise<void>
}

/** Numbers the parameters of a statement that is put together. */
export const numbered = (): ((cast: string) => string) => {
  let count = 0
  return (cast) => `$${++count}::${cast}`
}

/**
 * Statement that inserts or replaces rows, of the values that `upsertValues` puts in order.
 * @param parameter of `numbered`: other statements may come before it.
 */
export function upsertRowsSql(projection: Projection, table: string, parameter: (cast: string) => string): string {
  const columns = columnsOf(projection)
  const names = columns.map(([name]) => name)
  const width = keyWidth(projection)
  const updates = names.slice(width).map((name) => `${name} = excluded.${name}`)
  // Arrays of text, cast column by column: an array of arrays would have to be rectangular.
  return `insert into ${table} (${names.join(', ')})
    select ${columns.map(([name, kind]) => `v.${name}::${typeOf(kind)}`).join(', ')}
    from unnest(${columns.map(() => parameter('text[]')).join(', ')}) as v (${names.join(', ')})
    on conflict (${names.slice(0, width).join(', ')}) do update set ${updates.join(', ')}`
}

/** Rows, column by column. */
export function upsertValues(projection: Projection, rows: readonly StoredRow[]): (string | null)[][] {
  const encoded = rows.map((row) => encodeRow(projection, row))
  return columnsOf(projection).map((_, i) => encoded.map((values) => values[i]!))
}

/** @param table schema-qualified. */
export function rowTable(projection: Projection, table: string): RowTable {
  const columns = columnsOf(projection)
  const names = columns.map(([name]) => name)
  const keys = columns.slice(0, keyWidth(projection))
  const sharded = projection.grain === 'shard'

  const select = prepared(
    `select t.* from ${table} t join unnest(${keys
      .map(([, kind], i) => `$${i + 1}::${typeOf(kind)}[]`)
      .join(
        ', ',
      )}) as wanted (${keys.map(([name]) => name).join(', ')}) using (${keys.map(([name]) => name).join(', ')})`,
  )

  const upsert = prepared(upsertRowsSql(projection, table, numbered()))

  return {
    async load(client, wanted) {
      if (wanted.length === 0) return []
      const parameters = [wanted.map(({ key }) => key), ...(sharded ? [wanted.map(({ shard }) => shard)] : [])]
      const { rows } = await client.query<Record<string, unknown>>({ ...select, values: parameters })
      return rows.map((found) => {
        const { [projection.keyColumn]: key, shard } = found
        return { key: key as string, shard: sharded ? (shard as number) : 0, row: decodeRow(projection, found) }
      })
    },

    async upsert(client, rows) {
      if (rows.length === 0) return
      await client.query({ ...upsert, values: upsertValues(projection, rows) })
    },

    async copy(client, rows) {
      const target = client.query(copyFrom(`copy ${table} (${names.join(', ')}) from stdin`))
      await pipeline(Readable.from(copyChunks(projection, rows)), target)
    },
  }
}

/** 64 KB a write: large enough to cost little, small enough not to be held up. */
const copyChunkCharacters = 64 * 1024

function* copyChunks(projection: Projection, rows: Iterable<StoredRow>): Generator<string> {
  let chunk = ''
  for (const row of rows) {
    chunk += copyLine(encodeRow(projection, row))
    if (chunk.length >= copyChunkCharacters) {
      yield chunk
      chunk = ''
    }
  }
  if (chunk) yield chunk
}
