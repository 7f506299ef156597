import { topics, type TopicName } from '@annals/contracts'
import type { PoolClient } from '@annals/platform/postgres'
import { isChain } from '../definition/chain'
import { isNullable, typeOf } from '../definition/columns'
import { columnsOf, keyWidth, type Projection } from '../definition/projection'
import { createCheckpoints } from './checkpoint-table'
import { headTableSql } from './head-table'
import { appliedSql, laneTables } from './lane-table'

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
  /** Stream → last revision, and whether it is blocked. Of the live generation a view: the lane keeps them. */
  stream: string
  /** Likewise a view of the live generation. */
  checkpoint: string
  parked: string
  /** Last entries of its chains; there for the grain `chain` only. */
  head: string
}

export function tablesOf({ name, table }: Projection, generation: Generation): Tables {
  const schema = schemaOf(name, generation)
  return {
    schema,
    rows: `${schema}.${table}`,
    stream: `${schema}.stream`,
    checkpoint: `${schema}.checkpoint`,
    parked: `${schema}.parked`,
    head: `${schema}.head`,
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

async function createRows(client: PoolClient, projection: Projection, tables: Tables): Promise<void> {
  await client.query(`create schema ${tables.schema}`)
  await client.query(rowTableSql(projection, tables))
  if (isChain(projection)) await client.query(headTableSql(tables.head))
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
}

/**
 * Makes an empty generation that is not live: tables without secondary indexes, checkpoints at the beginning of every partition.
 * Derived from the definition, not from migrations: a read model of another shape is built anew, never altered.
 */
export async function createGeneration(
  client: PoolClient,
  projection: Projection,
  generation: Exclude<Generation, 'live'>,
): Promise<void> {
  const tables = tablesOf(projection, generation)
  await createRows(client, projection, tables)
  await client.query(
    `create table ${tables.stream} (
       stream text primary key,
       revision bigint not null check (revision >= 0),
       blocked boolean not null default false
     )`,
  )
  await createCheckpoints(client, tables.checkpoint, placesOf(projection))
}

/** Makes an empty live generation; its places are the caller's. */
export async function createLive(client: PoolClient, projection: Projection): Promise<void> {
  const tables = tablesOf(projection, 'live')
  await createRows(client, projection, tables)
  for (const sql of indexStatements(projection, 'live')) await client.query(sql)
  await createLaneViews(client, projection, 'live')
}

/**
 * What a live read model has of the lane, in the form that other generations have tables of: how far it has read each partition, and
 * the revisions of its streams. Streams of a partition where it is not joined are left out: the lane's revision is not its own there.
 */
export async function createLaneViews(
  client: PoolClient,
  projection: Projection,
  generation: 'live' | 'next' | 'previous',
): Promise<void> {
  const { stream, checkpoint } = tablesOf(projection, generation)
  const { name } = projection
  await client.query(
    `create view ${checkpoint} as
     select p.topic, p.partition, l.next_offset, case when p.joined then ${appliedSql} else p.position end as position,
       l.topic_id, l.record_offset, l.record_mark, greatest(l.updated_at, p.updated_at) as updated_at,
       case when p.joined and l.position = ${appliedSql} then l.position_event else p.position_event end as position_event,
       p.joined
     from ${laneTables.place} p join ${laneTables.checkpoint} l using (topic, partition) where p.projection = '${name}'`,
  )
  const ofTopic = (topic: TopicName) =>
    `select s.stream, s.revision,
       exists (select from ${laneTables.blocked} b where b.stream = s.stream and b.projection = '${name}') as blocked
     from ${laneTables.stream} s
     join ${laneTables.place} p on p.projection = '${name}' and p.topic = '${topic}' and p.partition = s.partition and p.joined
     where starts_with(s.stream, '${topics[topic].category}-')`
  await client.query(`create view ${stream} as ${projection.topics.map(ofTopic).join(' union all ')}`)
}

/** Statements that make a generation's secondary indexes; each can be repeated. */
export const indexStatements = (projection: Projection, generation: Generation): string[] =>
  Object.entries(projection.indexes).map(
    ([name, on]) => `create index if not exists ${name} on ${tablesOf(projection, generation).rows} ${on}`,
  )
