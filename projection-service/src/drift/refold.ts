import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { isOfOneStream } from '../engine/definition/chain'
import { typeOf } from '../engine/definition/columns'
import type { StreamState } from '../engine/fold/fold'
import { droppedEvents } from '../engine/parking/drops'
import { tablesOf } from '../engine/tables/generation'
import { recordAction } from '../engine/parking/parked-actions'
import { rowName, type Projection, type StoredRow } from '../engine/definition/projection'
import { rowTable } from '../engine/tables/row-table'
import { lockStreamsPartition, NotPossible } from '../engine/tables/stream-lock'
import { hasCompleted, laneTables, touchPlaces } from '../engine/tables/lane-table'
import { insertParked, loadStreams } from '../engine/tables/stream-table'
import { foldStreamAfresh, lacksKey } from './fresh-fold'
import { differencesOf, reachedRevision, readOrDeleted, streamEventsMax, type RowDifference } from './stream-comparison'

export interface Refolded {
  /** Events of the stream that the read model now stands at. */
  events: number
  /** What was wrong, without values. */
  mended: RowDifference[]
  /** Rows that no event makes, and that are gone. */
  removed: number
  /** Events that can not be applied, or wait behind such a one. */
  parked: number
}

/**
 * Folds one stream of the live read model from the log, up to where the read model has seen its partition. Replaces
 * its rows, revision and parked events with the result. The projector waits for this partition meanwhile; the log is
 * read within 5 s or not at all.
 * @param actor who wants it; recorded.
 * @throws NotPossible for a row that several streams share, a stream of another topic, one that the log does not have.
 */
export async function refoldStream(
  projection: Projection,
  stream: string,
  { pool, log, openAll, actor }: { pool: Pool; log: Pick<EventLog, 'readStream'>; openAll: OpenAll; actor: string },
): Promise<Refolded> {
  const { name } = projection
  if (!isOfOneStream(projection)) {
    throw new NotPossible(
      `a row of ${name} is made of many streams, so it cannot be folded from one: rebuild it with \`replay ${name}\``,
    )
  }
  return inTransaction(pool, async (client) => {
    const { position } = await lockStreamsPartition(client, projection, stream)
    const recorded = await readOrDeleted(log, stream)
    if (recorded === 'deleted')
      throw new NotPossible(`${stream} was deleted in the log for good: its rows stay as they are`)
    if (recorded.length === 0) throw new NotPossible(`the log has no stream ${stream}, or it was deleted there`)
    if (recorded[0]!.revision > 0) {
      throw new NotPossible(
        `the log has lost the beginning of ${stream} (it was deleted or truncated): its rows stay as they are`,
      )
    }
    if (recorded.length > streamEventsMax) {
      throw new NotPossible(`${stream} has more than ${streamEventsMax} events: rebuild with \`replay ${name}\``)
    }
    const seen = recorded.filter((event) => event.position <= position)
    const fresh = await foldStreamAfresh(projection, seen, await droppedEvents(client, projection, stream), openAll)
    if (lacksKey(fresh))
      throw new NotPossible(
        `the key table has no row of the person of ${stream}: put it back first; the rows are still correct`,
      )
    if (fresh.stopped) throw new NotPossible(`${stream} cannot be folded by this release: ${fresh.stopped}`)

    const tables = tablesOf(projection, 'live')
    const table = rowTable(projection, tables.rows)
    const stored = await table.load(client, fresh.rows)
    const mended = differencesOf(projection, fresh.rows, stored)
    const known = (await loadStreams(client, tables.stream, [stream])).get(stream)
    const reached = reachedRevision(
      known?.revision ?? -1,
      seen,
      await hasCompleted(client, projection, placeOf(stream)!),
    )
    const before = reached < 0 ? undefined : { revision: reached, blocked: known?.blocked ?? false }
    if (!before && fresh.state) mended.push({ key: stream, columns: ['(the stream is missing)'] })
    else if (before?.revision !== fresh.state?.revision || before?.blocked !== fresh.state?.blocked) {
      mended.push({ key: stream, columns: ['(the revision reached, or whether it is parked)'] })
    }
    const removed = await removeOthers(client, projection, stream, fresh.rows, seen)
    await table.upsert(client, fresh.rows)
    await client.query(`delete from ${tables.parked} where stream = $1`, [stream])
    await insertParked(client, tables.parked, fresh.parked)
    await setState(client, projection, stream, seen, fresh.state)
    await recordAction(client, projection, {
      action: 'refold',
      actor,
      stream,
      eventIds: seen.map(({ id }) => id),
      applied: seen.length - fresh.parked.length,
    })
    return { events: seen.length, mended, removed, parked: fresh.parked.length }
  })
}

/**
 * Whether the stream stands still is this read model's alone; the revision is the lane's, and so of every read model. Where the lane lacks
 * events of it, the others lack them too and must be handed them yet: here it is noted that this one has them.
 */
async function setState(
  client: PoolClient,
  { name }: Projection,
  stream: string,
  seen: readonly RecordedEvent[],
  state: StreamState | undefined,
): Promise<void> {
  const place = placeOf(stream)!
  const { rows } = await client.query<{ revision: bigint }>(
    `select revision from ${laneTables.stream} where stream = $1`,
    [stream],
  )
  const lane = Number(rows[0]?.revision ?? -1n)
  const missing = seen.filter(({ revision }) => revision > lane)
  for (const { position } of missing)
    await client.query(
      `update ${laneTables.place} set complete = complete + int8multirange(int8range($4, $4, '[]'))
       where projection = $1 and topic = $2 and partition = $3`,
      [name, place.topic, place.partition, position],
    )
  if (missing.length > 0) await touchPlaces(client, [place])
  // No read model can have seen what the log does not have.
  const last = seen.at(-1)?.revision ?? -1
  if (lane > last && last >= 0)
    await client.query(`update ${laneTables.stream} set revision = $2 where stream = $1`, [stream, last])
  await client.query(`delete from ${laneTables.blocked} where projection = $1 and stream = $2`, [name, stream])
  if (state?.blocked)
    await client.query(`insert into ${laneTables.blocked} (stream, projection) values ($1, $2)`, [stream, name])
}

/** What stands behind a stream's category. */
const idOf = (stream: string) => stream.slice(stream.indexOf('-') + 1)

/** Deletes rows under the stream's keys that its events do not make. */
async function removeOthers(
  client: PoolClient,
  projection: Projection,
  stream: string,
  rows: readonly StoredRow[],
  events: readonly { id: string }[],
): Promise<number> {
  const made = new Set(rows.map(({ key, shard }) => rowName(key, shard)))
  // A stream's row has the stream's own id for its key, an event's row that of the event.
  const keys = projection.grain === 'event' ? events.map(({ id }) => id) : rows.length > 0 ? [] : [idOf(stream)]
  const others = keys.filter((key) => !made.has(rowName(key, 0)))
  if (others.length === 0) return 0
  const { rowCount } = await client.query(
    `delete from ${tablesOf(projection, 'live').rows}
     where ${projection.keyColumn} = any($1::text[]::${typeOf(projection.keyType)}[])`,
    [others],
  )
  return rowCount ?? 0
}
