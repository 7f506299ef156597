import type { Logger } from '@annals/platform/log'
import type { PoolClient } from '@annals/platform/postgres'
import type { ModelMemory } from '../fold/lane-memory'
import { tablesOf } from '../tables/generation'
import { laneTables } from '../tables/lane-table'
import { insertParked } from '../tables/stream-table'

export const insertParkedOf = (client: PoolClient, { projection, parked }: ModelMemory): Promise<void> =>
  insertParked(client, tablesOf(projection, 'live').parked, parked)

/** Notes the streams that stand still now. */
export async function insertBlocked(client: PoolClient, { projection, parked }: ModelMemory): Promise<void> {
  if (parked.length === 0) return
  await client.query(
    `insert into ${laneTables.blocked} (stream, projection) select distinct s, $2 from unnest($1::text[]) s on conflict do nothing`,
    [parked.map(({ recorded }) => recorded.stream), projection.name],
  )
}

/** Said after the commit. */
export function tellParked(log: Logger, { projection, parked }: ModelMemory): void {
  for (const { recorded, error } of parked) {
    if (!error) continue
    const { stream, revision, type } = recorded
    log.error(
      { projection: projection.name, stream, revision, type, err: error },
      'event parked, its stream is blocked',
    )
  }
}
