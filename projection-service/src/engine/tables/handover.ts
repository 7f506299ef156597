import type { PoolClient } from '@annals/platform/postgres'
import { placeOf, topics } from '@annals/contracts'
import { isChain } from '../definition/chain'
import type { Projection } from '../definition/projection'
import { createLaneViews, schemaOf, tablesOf } from './generation'
import { chainReason, laneTables, touchWholeLane } from './lane-table'

/** Where a generation that is not live any more stood, should it become live again. */
const keptPlaces = (projection: Projection, generation: 'live' | 'previous'): string =>
  `${schemaOf(projection.name, generation)}.place`

/** Notes in a read model's own schema where it stands now, before it is put aside. The transaction holds the lane in its partitions. */
export async function keepPlaces(client: PoolClient, projection: Projection, generation: 'live'): Promise<void> {
  const kept = keptPlaces(projection, generation)
  await client.query(`drop table if exists ${kept}`)
  await client.query(
    `create table ${kept} as
     select p.topic, p.partition, c.position, c.position_event,
       case when p.joined then p.complete else p.complete + int8multirange(int8range(p.left_at, p.position, '(]')) end as complete,
       case when p.joined then (select coalesce(max(id), 0) from ${laneTables.late}) else p.late_seen end as late_seen
     from ${laneTables.place} p
     join ${tablesOf(projection, generation).checkpoint} c using (topic, partition) where p.projection = '${projection.name}'`,
  )
}

/** The former release gave the rows that are kept for a rollback tables of their own as well: their places are noted as ours are. */
export async function keepFormerPlaces(client: PoolClient, projection: Projection): Promise<void> {
  const { schema, stream, checkpoint } = tablesOf(projection, 'previous')
  const { rows } = await client.query<{ there: boolean }>(
    `select exists (select from pg_tables where schemaname = $1 and tablename = 'checkpoint') as there`,
    [schema],
  )
  if (!rows[0]!.there) return
  await client.query(
    `create table ${keptPlaces(projection, 'previous')} as
     select topic, partition, position, position_event, int8multirange(int8range(null, position, '(]')) as complete, 0::bigint as late_seen
     from ${checkpoint}`,
  )
  await client.query(`drop table ${stream}; drop table ${checkpoint}`)
  await createLaneViews(client, projection, 'previous')
}

/** Live streams that stand still are those of the generation that becomes live. */
async function blockAs(client: PoolClient, { name }: Projection, parked: string): Promise<void> {
  await client.query(`delete from ${laneTables.blocked} where projection = $1`, [name])
  await client.query(
    `insert into ${laneTables.blocked} (stream, projection) select distinct stream, $1 from ${parked}`,
    [name],
  )
}

/**
 * Puts the shadow in the read model's places: it has applied all of the log up to where it stands, and gets what the lane reads beyond.
 * A chain goes on reading the log from there.
 * The transaction holds the whole lane; the shadow is not behind it in its partitions.
 */
export async function placeRebuilt(client: PoolClient, projection: Projection): Promise<void> {
  const { checkpoint, parked } = tablesOf(projection, 'next')
  await client.query(`delete from ${laneTables.place} where projection = $1`, [projection.name])
  await client.query(
    `insert into ${laneTables.place} (projection, topic, partition, joined, position, position_event, complete, left_at, reason)
     select $1, topic, partition, not $2::boolean, position, position_event, int8multirange(int8range(null, position, '(]')),
       case when $2 then position end, case when $2 then $3::text end
     from ${checkpoint}`,
    [projection.name, isChain(projection), chainReason],
  )
  await blockAs(client, projection, parked)
  await touchWholeLane(client)
}

/** Puts the former generation back where it stood: it catches up from there. The transaction holds the whole lane. */
export async function restorePlaces(client: PoolClient, projection: Projection): Promise<void> {
  const kept = keptPlaces(projection, 'previous')
  await client.query(`delete from ${laneTables.place} where projection = $1`, [projection.name])
  await client.query(
    `insert into ${laneTables.place}
       (projection, topic, partition, joined, position, position_event, complete, left_at, late_seen, reason)
     select $1, topic, partition, false, position, position_event, complete, position, late_seen, $2
     from ${kept}`,
    [projection.name, isChain(projection) ? chainReason : 'the former rows are live again'],
  )
  await client.query(`drop table ${kept}`)
  await blockAs(client, projection, tablesOf(projection, 'previous').parked)
  await touchWholeLane(client)
}

/**
 * The lane reads the topics of a read model from their first record again. What it has applied is passed over by the streams' revisions.
 * @param streamsOfNext those revisions are the shadow's from now on: the log is another one than the lane has read.
 */
export async function resetLane(
  client: PoolClient,
  projection: Projection,
  { streamsOfNext }: { streamsOfNext: boolean },
): Promise<void> {
  const next = tablesOf(projection, 'next')
  await client.query(
    `update ${laneTables.checkpoint} l
     set next_offset = 0, topic_id = null, record_offset = null, record_mark = null, updated_at = now()
     where topic = any($1::text[])`,
    [projection.topics],
  )
  if (!streamsOfNext) return
  await client.query(
    `update ${laneTables.checkpoint} l set position = c.position, position_event = c.position_event
     from ${next.checkpoint} c where c.topic = l.topic and c.partition = l.partition`,
  )
  for (const topic of projection.topics) {
    const prefix = `${topics[topic].category}-`
    await client.query(`delete from ${laneTables.stream} where starts_with(stream, $1)`, [prefix])
    await insertStreams(client, next.stream, prefix)
  }
}

/** Copies the revisions of a topic's streams, with the partition of each, which only we know how to compute. */
async function insertStreams(client: PoolClient, from: string, prefix: string): Promise<void> {
  let after = ''
  for (;;) {
    const { rows } = await client.query<{ stream: string; revision: bigint }>(
      `select stream, revision from ${from} where starts_with(stream, $1) and stream > $2 order by stream limit ${copiedAtOnce}`,
      [prefix, after],
    )
    if (rows.length === 0) return
    await client.query(
      `insert into ${laneTables.stream} (stream, revision, partition) select * from unnest($1::text[], $2::bigint[], $3::smallint[])`,
      [
        rows.map(({ stream }) => stream),
        rows.map(({ revision }) => revision),
        rows.map(({ stream }) => placeOf(stream)!.partition),
      ],
    )
    after = rows.at(-1)!.stream
  }
}

/** Streams in one statement: some megabytes. */
const copiedAtOnce = 20_000
