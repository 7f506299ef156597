import type { PoolClient } from '@annals/platform/postgres'
import type { Row } from '../definition/columns'
import { touchedRows, type Memory, type ParkedEvent, type ReadEvent, type StreamState } from '../fold/fold'
import type { tablesOf } from '../tables/generation'
import { rowName, type Projection, type StoredRow } from '../definition/projection'
import type { rowTable } from '../tables/row-table'
import { insertParked, loadStreams, upsertStreams } from '../tables/stream-table'

/** The rows and streams that a batch touches, as they stand in a generation, and what folding changes of them. */
export interface BatchMemory extends Memory {
  /** Events that folding has parked so far. */
  readonly parked: readonly ParkedEvent[]
  /** Writes what was changed, in the transaction that loaded it. */
  write(): Promise<void>
}

/** Loads what these events touch, with one query for streams and one for rows. */
export async function loadBatchMemory(
  client: PoolClient,
  projection: Projection,
  table: ReturnType<typeof rowTable>,
  tables: ReturnType<typeof tablesOf>,
  events: readonly ReadEvent[],
): Promise<BatchMemory> {
  const names = [...new Set(events.map(({ recorded }) => recorded.stream))]
  const streams = await loadStreams(client, tables.stream, names)
  const loaded = await table.load(client, touchedRows(projection, events))
  const rows = new Map<string, Row>(loaded.map(({ key, shard, row }) => [rowName(key, shard), row]))
  const changedRows = new Map<string, StoredRow>()
  const changedStreams = new Map<string, StreamState>()
  const parked: ParkedEvent[] = []
  return {
    parked,
    row: (name) => rows.get(name),
    setRow: (name, stored) => {
      rows.set(name, stored.row)
      changedRows.set(name, stored)
    },
    stream: (name) => streams.get(name),
    setStream: (name, state) => {
      streams.set(name, state)
      changedStreams.set(name, state)
    },
    park: (event) => parked.push(event),
    async write() {
      await table.upsert(client, [...changedRows.values()])
      await upsertStreams(client, tables.stream, changedStreams)
      await insertParked(client, tables.parked, parked)
    },
  }
}
