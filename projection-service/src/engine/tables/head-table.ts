import type { ChainHead } from '@annals/platform/hash-chain'
import type { Pool, PoolClient } from '@annals/platform/postgres'
import { chainName, placeOfChain, type ChainHeads } from '../definition/chain'

/** Statement that makes the table of a generation's heads: they move in the transactions that write entries. */
export const headTableSql = (table: string): string =>
  `create table ${table} (
     topic text not null,
     partition integer not null,
     sequence bigint not null,
     hash text not null,
     position bigint not null,
     primary key (topic, partition)
   )`

/** The heads of all chains, by `topic/partition`: some twenty rows. A chain without entries has none. */
export async function loadHeads(db: Pool | PoolClient, table: string): Promise<Map<string, ChainHead>> {
  const { rows } = await db.query<ChainHead & { topic: string; partition: number }>(
    `select topic, partition, sequence, hash, position from ${table}`,
  )
  return new Map(rows.map(({ topic, partition, ...head }) => [chainName({ topic, partition }), head]))
}

export async function upsertHeads(client: PoolClient, table: string, heads: ChainHeads): Promise<void> {
  if (heads.size === 0) return
  const places = [...heads.keys()].map(placeOfChain)
  const all = [...heads.values()]
  await client.query(
    `insert into ${table} (topic, partition, sequence, hash, position)
     select * from unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[])
     on conflict (topic, partition) do update
       set sequence = excluded.sequence, hash = excluded.hash, position = excluded.position`,
    [
      places.map(({ topic }) => topic),
      places.map(({ partition }) => partition),
      all.map(({ sequence }) => sequence),
      all.map(({ hash }) => hash),
      all.map(({ position }) => position),
    ],
  )
}
