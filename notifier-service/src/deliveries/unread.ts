import type { RecordedEvent } from '@annals/contracts'
import type { Pool, PoolClient } from '@annals/platform/postgres'

/** An event of a type that this release does not know. Its content stays in the log. */
export interface UnreadEvent extends Pick<RecordedEvent, 'id' | 'type' | 'stream' | 'revision' | 'position'> {
  topic: string
  partition: number
  /** Where it was met on the topic. */
  offset: bigint
}

/** Keeps them for a release that knows their types. */
export async function setAside(client: PoolClient, events: readonly UnreadEvent[]): Promise<void> {
  if (events.length === 0) return
  await client.query(
    `insert into unread_event (stream, revision, event_id, event_type, topic, partition, record_offset, position)
     select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::bigint[])
     on conflict (stream, revision) do update set event_id = excluded.event_id, event_type = excluded.event_type,
       topic = excluded.topic, partition = excluded.partition, record_offset = excluded.record_offset,
       position = excluded.position`,
    [
      events.map(({ stream }) => stream),
      events.map(({ revision }) => revision),
      events.map(({ id }) => id),
      events.map(({ type }) => type),
      events.map(({ topic }) => topic),
      events.map(({ partition }) => partition),
      events.map(({ offset }) => offset),
      events.map(({ position }) => position),
    ],
  )
}

/** Those of these types behind a log position, in log order. @param limit so many at most. */
export async function unreadEvents(
  pool: Pool,
  types: readonly string[],
  after: bigint,
  limit: number,
): Promise<UnreadEvent[]> {
  const { rows } = await pool.query<Omit<UnreadEvent, 'revision'> & { revision: bigint }>(
    `select event_id as id, event_type as type, stream, revision, position, topic, partition, record_offset as offset
     from unread_event
     where event_type = any($1::text[]) and position > $2 order by position limit $3`,
    [types, after, limit],
  )
  return rows.map((row) => ({ ...row, revision: Number(row.revision) }))
}

/** @returns false when another instance has taken it. */
export async function takeUnread(client: PoolClient, { stream, revision, id }: UnreadEvent): Promise<boolean> {
  const { rowCount } = await client.query(
    'delete from unread_event where stream = $1 and revision = $2 and event_id = $3',
    [stream, revision, id],
  )
  return rowCount === 1
}

/** Forgets events of types that are known by now, and that nothing is sent for. */
export async function dropUnread(pool: Pool, types: readonly string[]): Promise<number> {
  const { rowCount } = await pool.query('delete from unread_event where event_type = any($1::text[])', [types])
  return rowCount ?? 0
}

/** How many events of each type wait for a release that knows it. */
export async function countUnread(pool: Pool): Promise<{ type: string; count: number }[]> {
  const { rows } = await pool.query<{ type: string; count: number }>(
    'select event_type as type, count(*)::integer as count from unread_event group by event_type order by event_type',
  )
  return rows
}
