import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { createLaneViews, createLive, placesOf, tablesOf } from './generation'
import { keepFormerPlaces } from './handover'
import { chainReason, inLockOrder, laneTables, lockLane, touchPlaces } from './lane-table'
import { isChain } from '../definition/chain'
import type { Projection } from '../definition/projection'

export interface Registered {
  version: number
  previousVersion: number | undefined
}

/** Advisory-lock key of a projection: a stable signed 64-bit number for its name, in a number space for each purpose. */
const lockKey = (purpose: 'generation' | 'rebuild', name: string) => `hashtextextended('annals.${purpose}.${name}', 0)`

/**
 * First statement of a transaction that works on one live read model beside the lane: while it is open no swap can happen, so all its
 * statements meet the same generation. (Renaming a schema takes no lock that a writer would notice.) Shared: several go on side by side.
 * The lane itself is kept apart from a swap by its checkpoints.
 */
export const shareGenerationSql = (name: string): string =>
  `select pg_advisory_xact_lock_shared(${lockKey('generation', name)})`

/** The other side of it: waits for such transactions in hand and keeps new ones out until the end of this one. */
export const ownGenerationSql = (name: string): string => `select pg_advisory_xact_lock(${lockKey('generation', name)})`

/** Session-wide: two rebuilds of one projection exclude each other. @returns false when another holds it. */
export async function tryRebuildLock(client: PoolClient, name: string): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(
    `select pg_try_advisory_lock(${lockKey('rebuild', name)}) as held`,
  )
  return rows[0]!.held
}

export async function registered(db: Pool | PoolClient, name: string): Promise<Registered | undefined> {
  const { rows } = await db.query<{ version: number; previous_version: number | null }>(
    'select version, previous_version from annals.projection where name = $1',
    [name],
  )
  const row = rows[0]
  return row && { version: row.version, previousVersion: row.previous_version ?? undefined }
}

/** Versions of all read models that are live. */
export async function registeredVersions(db: Pool | PoolClient): Promise<ReadonlyMap<string, number>> {
  const { rows } = await db.query<{ name: string; version: number }>('select name, version from annals.projection')
  return new Map(rows.map(({ name, version }) => [name, version]))
}

/** Makes sure that the lane has a checkpoint for every partition that a read model is fed from. */
export async function createLanePlaces(db: Pool | PoolClient, projection: Projection): Promise<void> {
  const places = placesOf(projection)
  await db.query(
    `insert into ${laneTables.checkpoint} (topic, partition, next_offset, position)
     select topic, partition, 0, -1 from unnest($1::text[], $2::integer[]) as place (topic, partition)
     on conflict do nothing`,
    [places.map(({ topic }) => topic), places.map(({ partition }) => partition)],
  )
}

/**
 * A new read model joins the lane at once where the lane has read nothing yet, and catches up elsewhere. A chain never joins: it reads the
 * log, whose order is its own.
 * @param complete by `topic/partition`: position up to which it has applied everything already.
 */
async function createPlaces(
  client: PoolClient,
  projection: Projection,
  complete: ReadonlyMap<string, bigint> = new Map(),
): Promise<void> {
  const lanes = await lockLane(client, inLockOrder(placesOf(projection)))
  for (const { topic, partition, checkpoint } of lanes) {
    const applied = complete.get(`${topic}/${partition}`) ?? -1n
    await client.query(
      `insert into ${laneTables.place} (projection, topic, partition, joined, position, left_at, complete, reason)
       values ($1, $2, $3, $4, $5, $5, int8multirange(int8range(null, $5, '(]')), $6)`,
      isChain(projection)
        ? [projection.name, topic, partition, false, applied, chainReason]
        : [projection.name, topic, partition, applied >= checkpoint.position, applied, 'it is new'],
    )
  }
  await touchPlaces(client, placesOf(projection))
}

/** The former release gave each live read model tables of its own for what the lane has now: its places are taken over. */
async function moveIntoLane(client: PoolClient, projection: Projection): Promise<void> {
  const { stream, checkpoint, parked } = tablesOf(projection, 'live')
  const { rows } = await client.query<{ topic: string; partition: number; position: bigint }>(
    `select topic, partition, position from ${checkpoint}`,
  )
  const complete = new Map(rows.map(({ topic, partition, position }) => [`${topic}/${partition}`, position]))
  await client.query(`drop table ${stream}; drop table ${checkpoint}`)
  await createLaneViews(client, projection, 'live')
  await createLanePlaces(client, projection)
  await createPlaces(client, projection, complete)
  await client.query(
    `insert into ${laneTables.blocked} (stream, projection) select distinct stream, $1 from ${parked} on conflict do nothing`,
    [projection.name],
  )
  await keepFormerPlaces(client, projection)
}

/** Whether a live read model has its places in the lane. */
async function isInLane(db: Pool | PoolClient, name: string): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>(
    `select exists (select from ${laneTables.place} where projection = $1) as there`,
    [name],
  )
  return rows[0]!.there
}

/**
 * Makes the live generation where there is none yet, empty, and gives it its places in the lane. Safe to repeat and to race.
 * @returns the version that is live, which another release may have made.
 */
export async function installProjection(pool: Pool, projection: Projection): Promise<Registered> {
  const { name } = projection
  // Asked first without standing in line: whoever stands there holds the projectors up.
  const installed = await registered(pool, name)
  if (installed && (await isInLane(pool, name))) {
    // This release may read a topic that the one which is live does not.
    await createLanePlaces(pool, projection)
    return installed
  }
  return inTransaction(pool, async (client) => {
    await client.query(ownGenerationSql(name))
    const known = await registered(client, name)
    if (known) {
      if (!(await isInLane(client, name))) await moveIntoLane(client, projection)
      return known
    }
    await createLive(client, projection)
    await client.query('insert into annals.projection (name, version) values ($1, $2)', [name, projection.version])
    await createLanePlaces(client, projection)
    await createPlaces(client, projection)
    return { version: projection.version, previousVersion: undefined }
  })
}
