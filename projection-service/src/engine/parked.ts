import type { OpenAll, RecordedEvent } from '@annals/contracts'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import type { Row } from './columns'
import { applyEvent, readFor, touchedRows, type Memory, type ReadEvent } from './fold'
import { tablesOf } from './generation'
import { rowName, type Projection, type StoredRow } from './projection'
import { shareGenerationSql } from './registry'
import { rowTable } from './row-table'

export interface ParkedStream {
  projection: string
  stream: string
  /** Events that wait, the parked one first. */
  events: number
  revision: number
  type: string
  error: string
  parkedAt: string
}

/** Streams with a parked event, oldest first. */
export async function parkedStreams(pool: Pool, projection: Projection, max: number): Promise<ParkedStream[]> {
  const { parked } = tablesOf(projection, 'live')
  const { rows } = await pool.query<Omit<ParkedStream, 'projection'>>(
    `select p.stream, p.revision::integer as revision, p.type, coalesce(p.error, '') as error,
       p.parked_at as "parkedAt", q.events
     from (select stream, count(*)::integer as events, min(revision) as first from ${parked} group by stream) q
     join ${parked} p on p.stream = q.stream and p.revision = q.first
     order by p.parked_at, p.stream limit $1`,
    [max],
  )
  return rows.map((row) => ({ projection: projection.name, ...row }))
}

interface ParkedRow {
  revision: bigint
  partition: number
  position: bigint
  type: string
  recorded: { id: string; data: unknown; metadata: unknown }
}

/** A queue longer than this is retried in parts: each is one transaction. */
const retriedAtOnce = 1_000

/**
 * Applies what is parked of a stream, in order, in one transaction. What fails again stays, with its new error, and all
 * behind it.
 * @returns how many events were applied, and the error that stopped it, if any.
 */
export async function retryParked(
  pool: Pool,
  projection: Projection,
  stream: string,
  openAll: OpenAll,
): Promise<{ applied: number; error: Error | undefined }> {
  let applied = 0
  for (;;) {
    const part = await inTransaction(pool, (client) => retryPart(client, projection, stream, openAll))
    applied += part.applied
    if (part.error || !part.more) return { applied, error: part.error }
  }
}

async function retryPart(client: PoolClient, projection: Projection, stream: string, openAll: OpenAll) {
  const tables = tablesOf(projection, 'live')
  await client.query(shareGenerationSql(projection.name))
  // The stream's row is what a projector transaction changes, too: it waits here, and then sees what was done.
  await client.query(`select from ${tables.stream} where stream = $1 for update`, [stream])
  const { rows: queue } = await client.query<ParkedRow>(
    `select revision, partition, position, type, recorded from ${tables.parked}
     where stream = $1 order by revision limit ${retriedAtOnce + 1}`,
    [stream],
  )
  const more = queue.length > retriedAtOnce
  const batch = queue.slice(0, retriedAtOnce)
  if (batch.length === 0) return { applied: 0, error: undefined, more: false }

  const recorded = batch.map(({ revision, position, type, recorded }): RecordedEvent => ({
    ...recorded,
    type,
    stream,
    revision: Number(revision),
    position,
  }))
  const readings = await readFor(projection, recorded, openAll)
  const events = recorded.map((event, i): ReadEvent => ({
    recorded: event,
    partition: batch[i]!.partition,
    reading: readings[i]!,
  }))
  const table = rowTable(projection, tables.rows)
  const loaded = await table.load(client, touchedRows(projection, events))
  const rows = new Map<string, Row>(loaded.map(({ key, shard, row }) => [rowName(key, shard), row]))
  const changed = new Map<string, StoredRow>()
  let error: Error | undefined
  let last = recorded[0]!.revision - 1
  const memory: Memory = {
    row: (name) => rows.get(name),
    setRow: (name, stored) => {
      rows.set(name, stored.row)
      changed.set(name, stored)
    },
    stream: () => ({ revision: last, blocked: false }),
    setStream: (_, state) => {
      if (!state.blocked) last = state.revision
    },
    park: (parked) => (error = parked.error),
  }
  for (const event of events) {
    const verdict = applyEvent(projection, memory, event)
    if (verdict.kind === 'stop') error = new Error(verdict.reason)
    if (error) break
  }
  await table.upsert(client, [...changed.values()])
  const { rowCount } = await client.query(`delete from ${tables.parked} where stream = $1 and revision <= $2`, [
    stream,
    last,
  ])
  if (error) {
    await client.query(
      `update ${tables.parked} set error = $3, stack = $4, parked_at = now() where stream = $1 and revision = $2`,
      [stream, last + 1, error.message.replaceAll('\u0000', '�'), error.stack?.replaceAll('\u0000', '�') ?? null],
    )
  } else if (!more) {
    await client.query(`update ${tables.stream} set blocked = false where stream = $1`, [stream])
  }
  return { applied: rowCount ?? 0, error, more }
}
