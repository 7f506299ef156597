import type { Pool, PoolClient } from '@annals/platform/postgres'
import type { Projection } from '../definition/projection'

/** What somebody did about a stream. */
export interface ParkedAction {
  action: 'retry' | 'drop' | 'refold'
  /** Who did it: `user@host`, or a name that was given. */
  actor: string
  stream: string
  /** In order of the stream. */
  eventIds: readonly string[]
  /** How many events were applied by it. */
  applied: number
  reason?: string | undefined
}

/** Records an action in the transaction that does it. */
export async function recordAction(
  client: PoolClient,
  { name, version }: Projection,
  { action, actor, stream, eventIds, applied, reason }: ParkedAction,
): Promise<void> {
  await client.query(
    `insert into annals.parked_action (actor, action, projection, version, stream, event_ids, applied, reason)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [actor, action, name, version, stream, eventIds, applied, reason ?? null],
  )
}

export interface RecordedAction extends ParkedAction {
  at: string
  projection: string
  version: number
}

/** What was done about streams, newest first. */
export async function recordedActions(
  pool: Pool,
  filter: { projection?: string | undefined; stream?: string | undefined },
  max: number,
): Promise<RecordedAction[]> {
  const { rows } = await pool.query<RecordedAction>(
    `select at, actor, action, projection, version, stream, event_ids as "eventIds", applied, reason
     from annals.parked_action
     where ($1::text is null or projection = $1) and ($2::text is null or stream = $2)
     order by id desc limit $3`,
    [filter.projection ?? null, filter.stream ?? null, max],
  )
  return rows
}
