import {
  checkpointColumns,
  checkpointOf,
  checkpointTableSql,
  type Checkpoint,
  type CheckpointRow,
} from '@annals/platform/checkpoint'
import type { TopicPartition } from '@annals/platform/kafka'
import type { Pool, PoolClient } from '@annals/platform/postgres'

/** Makes a generation's table, with a row for each place: nothing is read yet. */
export async function createCheckpoints(
  client: PoolClient,
  table: string,
  places: readonly TopicPartition[],
): Promise<void> {
  await client.query(checkpointTableSql(table))
  // Id of the event at the log position that was reached; null: none, or a former release did not keep it.
  await client.query(`alter table ${table} add column position_event text`)
  await client.query(
    `insert into ${table} (topic, partition, next_offset, position)
     select topic, partition, 0, -1 from unnest($1::text[], $2::integer[]) as place (topic, partition)`,
    [places.map(({ topic }) => topic), places.map(({ partition }) => partition)],
  )
}

/** A partition's checkpoint with the event that stands at its position; `null`: none, or a former release did not keep it. */
export type PlacedCheckpoint = TopicPartition & { checkpoint: Checkpoint; eventId: string | null }

export async function checkpointsIn(db: Pick<Pool, 'query'>, table: string): Promise<PlacedCheckpoint[]> {
  const { rows } = await db.query<CheckpointRow & TopicPartition & { position_event: string | null }>(
    `select topic, partition, position_event, ${checkpointColumns()} from ${table}`,
  )
  return rows.map(({ topic, partition, position_event, ...row }) => ({
    topic,
    partition,
    checkpoint: checkpointOf(row),
    eventId: position_event,
  }))
}

/** The event at the highest position in any of these tables. */
export async function furthestEventIn(
  db: Pick<Pool, 'query'>,
  tables: readonly string[],
): Promise<{ position: bigint; eventId: string } | undefined> {
  const each = tables.map((table) => `select position, position_event from ${table} where position_event is not null`)
  const { rows } = await db.query<{ position: bigint; position_event: string }>(
    `select position, position_event from (${each.join(' union all ')}) c order by position desc limit 1`,
  )
  return rows[0] && { position: rows[0].position, eventId: rows[0].position_event }
}

/** A position that a rebuild has reached; `eventId` undefined: the one that was known stays. */
export type ReachedPosition = TopicPartition & { position: bigint; eventId: string | undefined }

/** Moves positions alone: what folds the log has no place in a topic. */
export async function movePositions(client: PoolClient, table: string, to: readonly ReachedPosition[]): Promise<void> {
  await client.query(
    `update ${table} c set position = v.position, updated_at = now(), position_event = coalesce(v.event, c.position_event)
     from unnest($1::text[], $2::integer[], $3::bigint[], $4::text[]) as v (topic, partition, position, event)
     where c.topic = v.topic and c.partition = v.partition and c.position <> v.position`,
    [
      to.map(({ topic }) => topic),
      to.map(({ partition }) => partition),
      to.map(({ position }) => position),
      to.map(({ eventId }) => eventId ?? null),
    ],
  )
}
