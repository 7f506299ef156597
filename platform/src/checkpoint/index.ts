import type { Pool, PoolClient } from 'pg'

/** How far a consumer has come in one partition. Lives in the database of its effects and moves in their transaction. */
export interface Checkpoint {
  /** Kafka offset at which reading goes on. */
  nextOffset: bigint
  /** Log position of the last event applied; what consistency tokens are compared with. -1: none yet. */
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
  updated_at timestamptz not null default now(),
  primary key (topic, partition)
)`

interface Row {
  next_offset: bigint
  position: bigint
}

/** Checkpoints of the given places, in order; `undefined` where there is none. */
export async function loadCheckpoints(
  db: Pool | PoolClient,
  table: string,
  places: readonly Place[],
): Promise<(Checkpoint | undefined)[]> {
  const { rows } = await db.query<Row & Place>(
    `select topic, partition, next_offset, position from ${table}
     where (topic, partition) in (select * from unnest($1::text[], $2::integer[]))`,
    [places.map(({ topic }) => topic), places.map(({ partition }) => partition)],
  )
  return places.map(({ topic, partition }) => {
    const row = rows.find((candidate) => candidate.topic === topic && candidate.partition === partition)
    return row && { nextOffset: row.next_offset, position: row.position }
  })
}

/**
 * Takes a partition's checkpoint for this transaction: another instance that works on the same partition waits here, and
 * then finds that the checkpoint has moved.
 */
export async function lockCheckpoint(client: PoolClient, table: string, place: Place): Promise<Checkpoint | undefined> {
  const { rows } = await client.query<Row>(
    `select next_offset, position from ${table} where topic = $1 and partition = $2 for update`,
    [place.topic, place.partition],
  )
  const row = rows[0]
  return row && { nextOffset: row.next_offset, position: row.position }
}

/**
 * Moves a checkpoint, if it still stands where this instance read it.
 * @param from `undefined`: there was none.
 * @returns false when another instance moved it: nothing of this transaction may be committed.
 */
export async function advanceCheckpoint(
  client: PoolClient,
  table: string,
  { topic, partition }: Place,
  from: Checkpoint | undefined,
  to: Checkpoint,
): Promise<boolean> {
  const { rowCount } = from
    ? await client.query(
        `update ${table} set next_offset = $3, position = $4, updated_at = now()
         where topic = $1 and partition = $2 and next_offset = $5`,
        [topic, partition, to.nextOffset, to.position, from.nextOffset],
      )
    : await client.query(
        `insert into ${table} (topic, partition, next_offset, position) values ($1, $2, $3, $4)
         on conflict (topic, partition) do nothing`,
        [topic, partition, to.nextOffset, to.position],
      )
  return rowCount === 1
}
