import { topics, type TopicName } from '@annals/contracts'
import type { PoolClient } from '@annals/platform/postgres'
import { isNullable, typeOf } from '../definition/columns'
import { columnsOf, keyWidth, type Projection } from '../definition/projection'
import { createCheckpoints } from './checkpoint-table'

/**
 * A read model lives in one schema. Beside the live one there may be the next, the previous, and snapshots. A
 * snapshot is the read model at a point of the log, or a part of it (`asof_<label>`; `asnew_<label>` until it is
 * complete).
 */
export type Generation = 'live' | 'next' | 'previous' | Snapshot | `asnew_${string}`
export type Snapshot = `asof_${string}`

export const schemaOf = (name: string, generation: Generation): string =>
  generation === 'live' ? name : `${name}_${generation}`

/** Schema-qualified names of a generation's tables. */
export interface Tables {
  schema: string
  rows: string
  /** Stream → last revision, and whether it is blocked. */
  stream: string
  checkpoint: string
  parked: string
}

export function tablesOf({ name, table }: Projection, generation: Generation): Tables {
  const schema = schemaOf(name, generation)
  return {
    schema,
    rows: `${schema}.${table}`,
    stream: `${schema}.stream`,
    checkpoint: `${schema}.checkpoint`,
    parked: `${schema}.parked`,
  }
}

/** Every partition that a projection reads. */
export const placesOf = (projection: Projection): { topic: TopicName; partition: number }[] =>
  projection.topics.flatMap((topic) =>
    Array.from({ length: topics[topic].partitions }, (_, partition) => ({ topic, partition })),
  )

const rowTableSql = (projection: Projection, { rows }: Tables): string => {
  const columns = columnsOf(projection)
  const key = columns.slice(0, keyWidth(projection)).map(([name]) => name)
  const lines = columns.map(([name, kind]) => `${name} ${typeOf(kind)}${isNullable(kind) ? '' : ' not null'}`)
  return `create table ${rows} (${lines.join(', ')}, primary key (${key.join(', ')}))`
}

/**
 * Makes an empty generation: tables without secondary indexes, checkpoints at the beginning of every partition.
 * Derived from the definition, not from migrations: a read model of another shape is built anew, never altered.
 */
export async function createGeneration(
  client: PoolClient,
  projection: Projection,
  generation: Generation,
): Promise<void> {
  const tables = tablesOf(projection, generation)
  await client.query(`create schema ${tables.schema}`)
  await client.query(rowTableSql(projection, tables))
  await client.query(
    `create table ${tables.stream} (
       stream text primary key,
       revision bigint not null check (revision >= 0),
       blocked boolean not null default false
     )`,
  )
  // json, not jsonb: what could not be applied is kept to the letter, NUL characters included.
  await client.query(
    `create table ${tables.parked} (
       stream text not null,
       revision bigint not null,
       partition integer not null,
       position bigint not null,
       type text not null,
       recorded json not null,
       error text,
       stack text,
       parked_at timestamptz not null default now(),
       primary key (stream, revision)
     )`,
  )
  await createCheckpoints(client, tables.checkpoint, placesOf(projection))
}

/** Statements that make a generation's secondary indexes; each can be repeated. */
export const indexStatements = (projection: Projection, generation: Generation): string[] =>
  Object.entries(projection.indexes).map(
    ([name, on]) => `create index if not exists ${name} on ${tablesOf(projection, generation).rows} ${on}`,
  )
