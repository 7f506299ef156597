import type { OpenAll, RecordedEvent } from '@annals/contracts'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { applyEvent, InvalidEvent, readFor, touchedRows, type ReadEvent } from '../fold/fold'
import { MapMemory } from '../fold/memory'
import { tablesOf } from '../tables/generation'
import { laneTables } from '../tables/lane-table'
import { recordAction } from './parked-actions'
import type { Projection } from '../definition/projection'
import { isRowFault, refusedReading } from '../tables/row-fault'
import { rowTable } from '../tables/row-table'
import { storable } from '../tables/stream-table'
import { lockStreamsPartition, NotPossible } from '../tables/stream-lock'

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

/** An event in a parked stream's queue, as it was recorded: personal fields are still sealed in it. */
export interface QueuedEvent {
  revision: number
  type: string
  id: string
  data: unknown
  metadata: unknown
  /** `null`: it waits behind the parked one. */
  error: string | null
  stack: string | null
  parkedAt: string
}

/** The queue of a stream in order, the parked event first; `[]`: nothing of it is parked. */
export async function parkedQueue(
  pool: Pool,
  projection: Projection,
  stream: string,
  max: number,
): Promise<QueuedEvent[]> {
  const { rows } = await pool.query<Omit<QueuedEvent, 'id' | 'data' | 'metadata'> & Pick<ParkedRow, 'recorded'>>(
    `select revision::integer as revision, type, recorded, error, stack, parked_at as "parkedAt"
     from ${tablesOf(projection, 'live').parked} where stream = $1 order by revision limit $2`,
    [stream, max],
  )
  return rows.map(({ recorded, ...row }) => ({ ...row, ...recorded }))
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

export interface Retried {
  applied: number
  /** Why the rest of the queue still waits, if it does. */
  error: Error | undefined
}

/**
 * Applies what is parked of a stream, in order; each thousand events in one transaction that also records who asked for it.
 * What fails again stays, with its new error, and all behind it.
 * @param actor who wants it.
 */
export async function retryParked(
  pool: Pool,
  projection: Projection,
  stream: string,
  openAll: OpenAll,
  actor: string,
): Promise<Retried> {
  let applied = 0
  for (;;) {
    const part = await inTransaction(pool, async (client) => {
      await lockStreamsPartition(client, projection, stream)
      return retryPart(client, projection, stream, openAll, actor)
    })
    applied += part.applied
    if (part.error || !part.more) return { applied, error: part.error }
  }
}

/**
 * Gives the parked event of a stream up, for this version of this projection, and retries what queued behind it. It stays in
 * the log, and among the recorded actions with the reason; every later fold passes it over. Only the event that is parked: what follows
 * may well be applied without it, and if not, is the next to be looked at.
 * @throws NotPossible when nothing of the stream is parked.
 */
export async function dropParked(
  pool: Pool,
  projection: Projection,
  stream: string,
  openAll: OpenAll,
  { actor, reason }: { actor: string; reason: string },
): Promise<Retried & { dropped: { id: string; revision: number; type: string } }> {
  const first = await inTransaction(pool, async (client) => {
    await lockStreamsPartition(client, projection, stream)
    const { parked } = tablesOf(projection, 'live')
    const { rows } = await client.query<{ id: string; revision: bigint; type: string }>(
      `delete from ${parked} where stream = $1 and revision = (select min(revision) from ${parked} where stream = $1)
       returning recorded ->> 'id' as id, revision, type`,
      [stream],
    )
    const gone = rows[0]
    if (!gone) throw new NotPossible(`nothing of ${stream} is parked in ${projection.name}`)
    await recordAction(client, projection, { action: 'drop', actor, stream, eventIds: [gone.id], applied: 0, reason })
    const dropped = { ...gone, revision: Number(gone.revision) }
    return { dropped, ...(await retryPart(client, projection, stream, openAll, actor)) }
  })
  const { dropped, applied, error } = first
  if (error || !first.more) return { dropped, applied, error }
  const rest = await retryParked(pool, projection, stream, openAll, actor)
  return { dropped, applied: applied + rest.applied, error: rest.error }
}

async function unblock(client: PoolClient, { name }: Projection, stream: string): Promise<void> {
  await client.query(`delete from ${laneTables.blocked} where projection = $1 and stream = $2`, [name, stream])
}

/** @param max events at once. */
async function retryPart(
  client: PoolClient,
  projection: Projection,
  stream: string,
  openAll: OpenAll,
  actor: string,
  max = retriedAtOnce,
): Promise<Retried & { more: boolean }> {
  const tables = tablesOf(projection, 'live')
  const { rows: queue } = await client.query<ParkedRow>(
    `select revision, partition, position, type, recorded from ${tables.parked}
     where stream = $1 order by revision limit ${max + 1}`,
    [stream],
  )
  const more = queue.length > max
  const batch = queue.slice(0, max)
  if (batch.length === 0) {
    await unblock(client, projection, stream)
    return { applied: 0, error: undefined, more: false }
  }

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
  const before = recorded[0]!.revision - 1
  // The stream is blocked since this event: it is folded as if it were not.
  const memory = new MapMemory({
    rows: await table.load(client, touchedRows(projection, events)),
    streams: [[stream, { revision: before, blocked: false }]],
  })
  let error: Error | undefined
  let last = before
  for (const event of events) {
    const verdict = applyEvent(projection, memory, event)
    error = verdict.kind === 'stop' ? new Error(verdict.reason) : memory.parked[0]?.error
    if (error) break
    last = event.recorded.revision
  }
  await client.query('savepoint rows')
  try {
    await table.upsert(client, memory.changedRows)
  } catch (refused) {
    const reading = isRowFault(refused) ? refusedReading(refused) : undefined
    if (reading?.kind !== 'invalid') throw refused
    await client.query('rollback to savepoint rows')
    // One at a time, until it is the one that leads to the row.
    if (batch.length > 1) return retryPart(client, projection, stream, openAll, actor, 1)
    error = new InvalidEvent(reading.reason)
    last = before
  }
  const { rowCount } = await client.query(`delete from ${tables.parked} where stream = $1 and revision <= $2`, [
    stream,
    last,
  ])
  if (error) {
    await client.query(
      `update ${tables.parked} set error = $3, stack = $4, parked_at = now() where stream = $1 and revision = $2`,
      [stream, last + 1, storable(error.message), storable(error.stack)],
    )
  } else if (!more) {
    await unblock(client, projection, stream)
  }
  const applied = rowCount ?? 0
  const eventIds = recorded.slice(0, error ? applied + 1 : applied).map(({ id }) => id)
  await recordAction(client, projection, { action: 'retry', actor, stream, eventIds, applied })
  return { applied, error, more }
}
