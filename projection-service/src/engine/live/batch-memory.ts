import type { PoolClient } from '@annals/platform/postgres'
import { touchedRows, type ReadEvent } from '../fold/fold'
import { MapMemory } from '../fold/memory'
import type { tablesOf } from '../tables/generation'
import type { Projection } from '../definition/projection'
import type { rowTable } from '../tables/row-table'
import { insertParked, loadStreams, upsertStreams } from '../tables/stream-table'

/** Where a batch is loaded from, and written to. */
export interface BatchTables {
  rows: ReturnType<typeof rowTable>
  names: ReturnType<typeof tablesOf>
}

/** Loads what these events touch, with one query for streams and one for rows. */
export async function loadBatchMemory(
  client: PoolClient,
  projection: Projection,
  { rows, names }: BatchTables,
  events: readonly ReadEvent[],
): Promise<MapMemory> {
  const touched = [...new Set(events.map(({ recorded }) => recorded.stream))]
  const streams = await loadStreams(client, names.stream, touched)
  return new MapMemory({ streams, rows: await rows.load(client, touchedRows(projection, events)) })
}

/** Writes what folding has changed, in the transaction that loaded it. */
export async function writeBatchMemory(
  client: PoolClient,
  { rows, names }: BatchTables,
  memory: MapMemory,
): Promise<void> {
  await rows.upsert(client, memory.changedRows)
  await upsertStreams(client, names.stream, memory.changedStreams)
  await insertParked(client, names.parked, memory.parked)
}
