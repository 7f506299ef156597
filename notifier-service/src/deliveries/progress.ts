import {
  advanceCheckpoint,
  checkpointColumns,
  checkpointOf,
  loadCheckpoints,
  moveCheckpointSql,
  movingValues,
  type Checkpoint,
  type CheckpointRow,
  type ReadingPlace,
} from '@annals/platform/checkpoint'
import type { TopicPartition } from '@annals/platform/kafka'
import type { Pool, PoolClient } from '@annals/platform/postgres'
import type { Gap } from './gaps'

const table = 'checkpoint'
const moveSql = moveCheckpointSql(table, [
  'moves = moves + 1',
  'judged_offset = $10',
  'seen_position = $11',
  'position_event = $12',
])

/**
 * An instance that is frozen in the middle of a transaction holds its partition's checkpoint, and whoever has taken the
 * partition over waits for it: the server ends such a transaction. Its statements follow each other within milliseconds.
 */
const frozenMsMax = 10_000

/** How far a partition was read, and what is to be known before it is read on. */
export interface Progress {
  /** `undefined`: nothing was read yet. */
  checkpoint: Checkpoint | undefined
  /** Up to this log position everything was read by a release that kept no revisions. -1: nothing. */
  seenPosition: bigint
  /** Id of the event at the checkpoint's position, where it is known. */
  positionEvent: string | null
  /** The database's time, epoch ms. */
  now: number
  /** The deliveries are known to have been set back. */
  isHeld: boolean
  /** Why the log is refused. */
  refusal: string | null
  gap: Gap | undefined
}

interface OpeningRow {
  now: number
  held: boolean
  refusal: string | null
  topic_id: string | null
  until_offset: bigint
  until_position: bigint
  until_at: string
  mails: Gap['mails']
}

type LockedRow = CheckpointRow & { judged_offset: bigint | null; seen_position: bigint; position_event: string | null }

/** Places as they stand, in order; `undefined` where nothing was read yet. */
export const loadPlaces = (pool: Pool, places: readonly TopicPartition[]) => loadCheckpoints(pool, table, places)

/** Takes a partition for this transaction: another instance that works on it waits here. */
export async function openProgress(client: PoolClient, { topic, partition }: TopicPartition): Promise<Progress> {
  const opening = await client.query<OpeningRow>(
    `select set_config('idle_in_transaction_session_timeout', '${frozenMsMax}', true),
       extract(epoch from now())::double precision * 1000 as now,
       exists (select from deliveries_hold) as held, (select refusal from log_state) as refusal,
       g.topic_id, g.until_offset, g.until_position, g.until_at, g.mails
     from (values (1)) as one left join deliveries_gap g on g.topic = $1 and g.partition = $2`,
    [topic, partition],
  )
  const locked = await client.query<LockedRow>(
    `select ${checkpointColumns()}, judged_offset, seen_position, position_event from ${table}
     where topic = $1 and partition = $2 for update`,
    [topic, partition],
  )
  const { now, held, refusal, topic_id, until_offset, until_position, until_at, mails } = opening.rows[0]!
  const row = locked.rows[0]
  // A former release has moved it since, and left no revisions: what it read is told by the position it came to.
  const wasJudged = row !== undefined && row.judged_offset === row.next_offset
  return {
    checkpoint: row && checkpointOf(row),
    seenPosition: wasJudged ? row.seen_position : (row?.position ?? -1n),
    positionEvent: wasJudged ? row.position_event : null,
    now,
    isHeld: held,
    refusal,
    gap:
      topic_id === null
        ? undefined
        : {
            topicId: topic_id,
            untilOffset: until_offset,
            untilPosition: until_position,
            untilAt: Date.parse(until_at),
            mails,
          },
  }
}

/**
 * Moves a partition on.
 * @param furthest the event with the highest log position among those that were read now; the position never goes back.
 * @returns how often the partition was moved by now, and the position; `undefined` when another instance moved it: nothing of this
 *   transaction may be committed.
 */
export async function moveProgress(
  client: PoolClient,
  place: TopicPartition,
  { checkpoint, seenPosition, positionEvent }: Progress,
  reached: ReadingPlace,
  furthest: { id: string; position: bigint } | undefined,
): Promise<{ moves: bigint; position: bigint } | undefined> {
  const before = checkpoint?.position ?? -1n
  const isFurther = furthest !== undefined && furthest.position > before
  const position = isFurther ? furthest.position : before
  const to = { ...reached, position }
  // The first time there is no row to move.
  if (!checkpoint && !(await advanceCheckpoint(client, table, place, undefined, to))) return undefined
  const { rows } = await client.query<{ moves: bigint }>(`${moveSql} returning moves`, [
    ...movingValues(place, checkpoint ?? to, to),
    reached.nextOffset,
    seenPosition,
    isFurther ? furthest.id : positionEvent,
  ])
  return rows[0] && { moves: rows[0].moves, position }
}

/** Last revision read of each of these streams; those that were never read are left out. */
export async function loadRevisions(client: PoolClient, streams: Iterable<string>): Promise<Map<string, number>> {
  const { rows } = await client.query<{ stream: string; revision: bigint }>(
    'select stream, revision from stream_revision where stream = any($1::text[])',
    [[...new Set(streams)]],
  )
  return new Map(rows.map(({ stream, revision }) => [stream, Number(revision)]))
}

export async function saveRevisions(client: PoolClient, revisions: ReadonlyMap<string, number>): Promise<void> {
  if (revisions.size === 0) return
  await client.query(
    `insert into stream_revision (stream, revision) select * from unnest($1::text[], $2::bigint[])
     on conflict (stream) do update set revision = excluded.revision`,
    [[...revisions.keys()], [...revisions.values()]],
  )
}

/** How far a partition has come, and how often it was moved. */
export interface MovedPlace extends TopicPartition {
  moves: bigint
  nextOffset: bigint
  position: bigint
  topicId: string | null
  /** The database's time, ISO 8601. */
  now: string
}

export async function movedPlaces(pool: Pool): Promise<MovedPlace[]> {
  const { rows } = await pool.query<MovedPlace>(
    `select topic, partition, moves, next_offset as "nextOffset", position, topic_id as "topicId", now() as now from ${table}`,
  )
  return rows
}

/** The furthest event that was read; a partition that a former release has moved does not tell. */
export async function furthestRead(pool: Pool): Promise<{ position: bigint; eventId: string } | undefined> {
  const { rows } = await pool.query<{ position: bigint; eventId: string }>(
    `select position, position_event as "eventId" from ${table}
     where judged_offset = next_offset and position_event is not null order by position desc limit 1`,
  )
  return rows[0]
}

/** Makes a partition's count of moves at least so high; where there was no row, it is read from its beginning. */
export async function raiseMoves(
  client: PoolClient,
  { topic, partition }: TopicPartition,
  moves: number,
): Promise<void> {
  await client.query(
    `insert into ${table} (topic, partition, next_offset, position, judged_offset, moves) values ($1, $2, 0, -1, 0, $3)
     on conflict (topic, partition) do update set moves = greatest(${table}.moves, excluded.moves)`,
    [topic, partition, moves],
  )
}

/** Adds to every partition's count of moves. */
export async function addMoves(client: PoolClient, moves: number): Promise<void> {
  await client.query(`update ${table} set moves = moves + $1`, [moves])
}

/** Everything is read once more, from the first record, and judged anew. */
export async function beginAnew(client: PoolClient): Promise<void> {
  // All at once, in the order in which intake takes them: its transactions end before, or begin after.
  await client.query(`select from ${table} order by topic, partition for update`)
  // Millions of rows at once; nobody reads them without a checkpoint in hand.
  await client.query('truncate stream_revision')
  await client.query('delete from unread_event')
  await client.query(
    `update ${table} set next_offset = 0, judged_offset = 0, position = -1, seen_position = -1, position_event = null,
       topic_id = null, record_offset = null, record_mark = null, moves = moves + 1`,
  )
}
