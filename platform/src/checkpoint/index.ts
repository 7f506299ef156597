import type { Pool, PoolClient } from 'pg'
import type { ReadingPlace } from '../kafka'

export type { ReadingPlace } from '../kafka'

/** How far a consumer has come in one partition. Lives in the database of its effects and moves in their transaction. */
export interface Checkpoint extends ReadingPlace {
  /** Highest log position of the events applied; never goes back. -1: none yet. */
  position: bigint
}

export interface Place {
  topic: string
  partition: number
}

/** Statement that makes a checkpoint table, schema-qualified or not; one table for each consumer. */
export const checkpointTableSql = (table: string): string => `
create table ${table} (
  topic text not null,
  partition integer not null check (partition >= 0),
  next_offset bigint not null check (next_offset >= 0),
  position bigint not null,
  -- Kafka's id of the topic that the offsets belong to; null: not known.
  topic_id text,
  -- The last record that was handled, and what its content is recognised by; null: none, or not known.
  record_offset bigint,
  record_mark text,
  updated_at timestamptz not null default now(),
  primary key (topic, partition),
  constraint checkpoint_record_whole check ((record_offset is null) = (record_mark is null))
)`

/** What a checkpoint's row holds, as statements of others select it: `select ${checkpointColumns} from …`. */
export interface CheckpointRow {
  next_offset: bigint
  position: bigint
  topic_id: string | null
  record_offset: bigint | null
  record_mark: string | null
}

const columns = ['next_offset', 'position', 'topic_id', 'record_offset', 'record_mark'] as const

/** The columns that {@link checkpointOf} reads. @param alias of the table, where a statement has several. */
export const checkpointColumns = (alias?: string): string =>
  columns.map((column) => (alias ? `${alias}.${column}` : column)).join(', ')

export function checkpointOf({
  next_offset,
  position,
  topic_id,
  record_offset,
  record_mark,
}: CheckpointRow): Checkpoint {
  return {
    nextOffset: next_offset,
    position,
    ...(topic_id === null ? {} : { topicId: topic_id }),
    ...(record_offset === null || record_mark === null ? {} : { last: { offset: record_offset, mark: record_mark } }),
  }
}

/** Whether two are the same place: the same offset of the same topic. A topic that was made anew counts its offsets anew. */
export const isSamePlace = (a: ReadingPlace | undefined, b: ReadingPlace | undefined): boolean =>
  a?.nextOffset === b?.nextOffset && a?.topicId === b?.topicId

/** Checkpoints of the given places, in order; `undefined` where there is none. */
export async function loadCheckpoints(
  db: Pool | PoolClient,
  table: string,
  places: readonly Place[],
): Promise<(Checkpoint | undefined)[]> {
  const { rows } = await db.query<CheckpointRow & Place>(
    `select topic, partition, ${checkpointColumns()} from ${table}
     where (topic, partition) in (select * from unnest($1::text[], $2::integer[]))`,
    [places.map(({ topic }) => topic), places.map(({ partition }) => partition)],
  )
  return places.map(({ topic, partition }) => {
    const row = rows.find((candidate) => candidate.topic === topic && candidate.partition === partition)
    return row && checkpointOf(row)
  })
}

/**
 * Takes a partition's checkpoint for this transaction: another instance that works on the same partition waits here, and
 * then finds that the checkpoint has moved.
 */
export async function lockCheckpoint(client: PoolClient, table: string, place: Place): Promise<Checkpoint | undefined> {
  const { rows } = await client.query<CheckpointRow>(
    `select ${checkpointColumns()} from ${table} where topic = $1 and partition = $2 for update`,
    [place.topic, place.partition],
  )
  return rows[0] && checkpointOf(rows[0])
}

const valuesOf = ({ nextOffset, position, topicId, last }: Checkpoint) => [
  nextOffset,
  position,
  topicId ?? null,
  last?.offset ?? null,
  last?.mark ?? null,
]

/**
 * Moves a checkpoint that still stands where it was read; of the values that {@link movingValues} puts in order.
 * @param also assignments to columns of the caller's own, whose values come behind them, from `$10` on.
 */
export const moveCheckpointSql = (table: string, also: readonly string[] = []): string =>
  `update ${table}
   set ${[...columns.map((column, i) => `${column} = $${i + 3}`), 'updated_at = now()', ...also].join(', ')}
   where topic = $1 and partition = $2 and next_offset = $8 and topic_id is not distinct from $9`

export const movingValues = ({ topic, partition }: Place, from: ReadingPlace, to: Checkpoint): unknown[] => [
  topic,
  partition,
  ...valuesOf(to),
  from.nextOffset,
  from.topicId ?? null,
]

/**
 * Moves a checkpoint, if it still stands where this instance read it.
 * @param from `undefined`: there was none.
 * @returns false when another instance moved it: nothing of this transaction may be committed.
 */
export async function advanceCheckpoint(
  client: PoolClient,
  table: string,
  place: Place,
  from: Checkpoint | undefined,
  to: Checkpoint,
): Promise<boolean> {
  const { rowCount } = from
    ? await client.query(moveCheckpointSql(table), movingValues(place, from, to))
    : await client.query(
        `insert into ${table} (topic, partition, ${checkpointColumns()}) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (topic, partition) do nothing`,
        [place.topic, place.partition, ...valuesOf(to)],
      )
  return rowCount === 1
}
