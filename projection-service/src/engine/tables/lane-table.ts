import { checkpointColumns, checkpointOf, type Checkpoint, type CheckpointRow } from '@annals/platform/checkpoint'
import type { TopicPartition } from '@annals/platform/kafka'
import type { Pool, PoolClient } from '@annals/platform/postgres'

/** The lane's tables: read models that stand at the same place share them. */
export const laneTables = {
  checkpoint: 'annals.lane_checkpoint',
  stream: 'annals.stream',
  place: 'annals.place',
  blocked: 'annals.blocked',
  late: 'annals.late_event',
} as const

/** A query API that listens on it is told of every commit of the projector. */
export const progressChannel = 'read_model_progress'

/** Why a read model of the grain `chain` is not in the lane, ever. Places are told apart by it. */
export const chainReason = 'it is a chain: it reads the log itself, in its order'

export const placeName = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/** In the order in which everybody locks them. */
export const inLockOrder = <Place extends TopicPartition>(places: readonly Place[]): Place[] =>
  places.toSorted((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))

/** Names of topics and numbers of partitions are ours: as literals they save a round trip. */
const literals = (places: readonly TopicPartition[]): string =>
  places.map(({ topic, partition }) => `('${topic.replaceAll("'", "''")}', ${Number(partition)})`).join(', ')

/** The lane's checkpoint of a partition, as a transaction holds it. */
export interface LockedLane extends TopicPartition {
  checkpoint: Checkpoint
  /** Id of the event at that position; `null`: none yet. */
  eventId: string | null
  placesEpoch: bigint
}

/** Statement that takes the lane's checkpoints of partitions for this transaction. */
export const lockLaneSql = (places: readonly TopicPartition[]): string =>
  `select topic, partition, ${checkpointColumns()}, position_event, places_epoch from ${laneTables.checkpoint}
   where (topic, partition) in (${literals(places)}) order by topic, partition for update`

interface LaneRow extends CheckpointRow, TopicPartition {
  position_event: string | null
  places_epoch: bigint
}

export const lockedLanes = (rows: readonly object[]): LockedLane[] =>
  (rows as LaneRow[]).map(({ topic, partition, position_event, places_epoch, ...row }) => ({
    topic,
    partition,
    checkpoint: checkpointOf(row),
    eventId: position_event,
    placesEpoch: places_epoch,
  }))

/** Takes the lane's checkpoints of partitions for this transaction, in the order in which everybody does. */
export async function lockLane(client: PoolClient, places: readonly TopicPartition[]): Promise<LockedLane[]> {
  if (places.length === 0) return []
  const { rows } = await client.query(lockLaneSql(places))
  return lockedLanes(rows)
}

/** Takes the lane's checkpoints of all partitions: for who changes what a read model reads. */
export async function lockWholeLane(client: PoolClient): Promise<void> {
  await client.query(`select from ${laneTables.checkpoint} order by topic, partition for update`)
}

/** Where a live read model stands in one partition. */
export interface PlaceRow extends TopicPartition {
  projection: string
  joined: boolean
  position: bigint
  /** A multirange of positions, as PostgreSQL writes it. */
  complete: string
}

/** Places of the read models in these partitions. */
export async function loadPlaces(db: Pool | PoolClient, places: readonly TopicPartition[]): Promise<PlaceRow[]> {
  if (places.length === 0) return []
  const { rows } = await db.query<PlaceRow>(
    `select projection, topic, partition, joined, position, complete::text as complete from ${laneTables.place}
     where (topic, partition) in (select * from unnest($1::text[], $2::integer[]))`,
    [places.map(({ topic }) => topic), places.map(({ partition }) => partition)],
  )
  return rows
}

/** Whether a live read model has applied an event at a position whatever the lane has read: it has all of the log there. */
export async function hasCompleted(
  db: Pool | PoolClient,
  { name }: { name: string },
  { topic, partition }: TopicPartition,
): Promise<(position: bigint) => boolean> {
  const { rows } = await db.query<{ complete: string }>(
    `select complete::text as complete from ${laneTables.place} where projection = $1 and topic = $2 and partition = $3`,
    [name, topic, partition],
  )
  return completedOf(rows[0]?.complete ?? '{}').has
}

/** Whether a live read model is in the lane in a partition. */
export async function isJoined(
  db: Pool | PoolClient,
  { name }: { name: string },
  { topic, partition }: TopicPartition,
): Promise<boolean> {
  const { rows } = await db.query<{ joined: boolean }>(
    `select joined from ${laneTables.place} where projection = $1 and topic = $2 and partition = $3`,
    [name, topic, partition],
  )
  return rows[0]?.joined ?? false
}

/** Says to every projector that the places of these partitions have changed. The transaction holds their checkpoints. */
export async function touchPlaces(client: PoolClient, places: readonly TopicPartition[]): Promise<void> {
  if (places.length === 0) return
  await client.query(
    `update ${laneTables.checkpoint} set places_epoch = places_epoch + 1 where (topic, partition) in (${literals(places)})`,
  )
}

/** Says so of all partitions. The transaction holds the whole lane. */
export async function touchWholeLane(client: PoolClient): Promise<void> {
  await client.query(`update ${laneTables.checkpoint} set places_epoch = places_epoch + 1`)
}

/** Log position up to which a read model that is joined has applied everything: `l` is the lane's checkpoint, `p` its place. */
export const appliedSql = 'greatest(l.position, coalesce(upper(p.complete), 0) - 1)'

/**
 * Takes a read model out of the lane at partitions whose checkpoints the transaction holds: it has applied what the lane has, and catches
 * up by itself from there.
 */
export async function leaveLane(
  client: PoolClient,
  projection: string,
  places: readonly TopicPartition[],
  reason: string,
): Promise<void> {
  if (places.length === 0) return
  await client.query(
    `update ${laneTables.place} p
     set joined = false, reason = $2, updated_at = now(), left_at = ${appliedSql}, position = ${appliedSql},
       position_event = l.position_event, late_seen = (select coalesce(max(id), 0) from ${laneTables.late})
     from ${laneTables.checkpoint} l
     where p.projection = $1 and p.joined and l.topic = p.topic and l.partition = p.partition
       and (p.topic, p.partition) in (${literals(places)})`,
    [projection, reason],
  )
  await touchPlaces(client, places)
}

/** Ranges of the log of which a read model has applied everything. */
export interface Completed {
  has(position: bigint): boolean
  /** All from the beginning up to this position; -1: not even the first event. */
  upTo: bigint
}

/** @param multirange as PostgreSQL writes it in its canonical form: `{[1,5),(,9)}`. */
export function completedOf(multirange: string): Completed {
  const ranges = [...multirange.matchAll(/[[(]([^,[({]*),([^)\]]*)[)\]]/g)].map(([, from, to]) => ({
    from: from === '' ? undefined : BigInt(from!),
    to: to === '' ? undefined : BigInt(to!),
  }))
  const first = ranges.find(({ from }) => from === undefined)
  return {
    has: (position) =>
      ranges.some(({ from, to }) => (from === undefined || position >= from) && (to === undefined || position < to)),
    upTo: first?.to === undefined ? -1n : first.to - 1n,
  }
}
