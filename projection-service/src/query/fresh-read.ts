import { placeOf } from '@annals/contracts'
import type { Projection } from '../engine/definition/projection'
import type { ReadModels } from './read-models'

export interface Freshness {
  position: string
  asOf: string | null
}

/** Reads rows and how fresh they are in one statement, so that a swap between two statements can not mix generations. */
export interface FreshRead {
  /** Whose freshness is told. */
  projection: Projection
  /** The answer is about this stream alone: its partition's freshness counts. */
  stream?: string
  /** A select that ends before `order by`; `$1`… are its parameters. */
  sql: string
  parameters: readonly unknown[]
  /** Columns of the select to order by. */
  orderBy?: string
  limit?: number
}

export async function freshRead<Found extends object>(
  { pool, tables }: ReadModels,
  { projection, stream, sql, parameters, orderBy, limit }: FreshRead,
): Promise<{ rows: Found[]; freshness: Freshness }> {
  const { checkpoint } = tables(projection)
  const place = stream === undefined ? undefined : placeOf(stream)
  const where = place ? `where topic = '${place.topic}' and partition = ${place.partition}` : ''
  const order = orderBy ? `order by ${orderBy}` : ''
  const { rows } = await pool.query(
    `select fresh.position as fresh_position, fresh.as_of as fresh_as_of, item.*
     from (
       select min(position) as position, max(updated_at) filter (where position >= 0) as as_of from ${checkpoint} ${where}
     ) fresh
     left join lateral (select true as found, read.* from (${sql}) read ${order} ${limit ? `limit ${limit}` : ''}) item on true
     ${order}`,
    [...parameters],
  )
  const first = rows[0] as { fresh_position: bigint | null; fresh_as_of: string | null }
  return {
    rows: rows.filter(({ found }) => found === true) as Found[],
    freshness: { position: String(first.fresh_position ?? -1n), asOf: first.fresh_as_of },
  }
}
