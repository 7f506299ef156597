import type { Pool, PoolClient } from '@annals/platform/postgres'
import type { Reading } from '../fold/fold'
import type { Projection } from '../definition/projection'

/**
 * Ids of the events that people have dropped from a projection, at this version of it. Everything that folds the log anew
 * passes them over, or it would come to another result than the read model that goes on without them.
 */
export async function droppedEvents(
  db: Pool | PoolClient,
  { name, version }: Projection,
  stream?: string,
): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ id: string }>(
    `select event_ids[1] as id from annals.parked_action
     where action = 'drop' and projection = $1 and version = $2 and ($3::text is null or stream = $3)`,
    [name, version, stream ?? null],
  )
  return new Set(rows.map(({ id }) => id))
}

/** How a dropped event is read: the revision moves on, nothing else does. */
export const droppedReading: Reading = { kind: 'unhandled' }
