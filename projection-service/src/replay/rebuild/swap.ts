import { pause } from '@annals/platform/backoff'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { createLaneViews, schemaOf, tablesOf } from '../../engine/tables/generation'
import { keepPlaces, placeRebuilt, resetLane, restorePlaces } from '../../engine/tables/handover'
import { laneTables, lockWholeLane } from '../../engine/tables/lane-table'
import type { Projection } from '../../engine/definition/projection'
import { createLanePlaces, ownGenerationSql } from '../../engine/tables/registry'
import type { Limits } from './builder'
import { workedSql } from './rebuild-run'
import { RebuildTaken, schemaExists } from './rebuild-state'
import { positionsOf } from './verify'

/** The swap did not get its turn: nothing has changed, and it can be asked for again. */
export class SwapBusy extends Error {
  override readonly name = 'SwapBusy'
}

/** The log lacks what the live read model has applied: it is another log, or it was cut. */
export class LogBehind extends Error {
  override readonly name = 'LogBehind'
}

/**
 * How long a swap stands in line for the projector transactions in hand, in ms; who comes after it stands in line as well. Where
 * they are rarely over so soon, it stands longer rather than never to get its turn.
 */
const lockTimeoutMs = (attempt: number): number => (attempt <= 40 ? 60 : 250)
const attemptsMax = 80
/** Between attempts. */
const attemptPauseMs = 100
/** What live applies while the shadow catches up is caught up with outside the lock so often, then once within it. */
const catchUpsMax = 20

const isLockTimeout = (error: unknown) => (error as { code?: unknown } | null)?.code === '55P03'

/**
 * Runs `work` in a transaction that owns the projection and holds the whole lane: no projector transaction is open meanwhile. One version
 * of a read model may read topics that another does not. Retried while busy.
 * @returns lockedMs: from when it stood in line to its end, what a projector has waited at most.
 */
async function owningGeneration<T>(
  pool: Pool,
  projection: Projection,
  work: (client: PoolClient) => Promise<T>,
): Promise<{ result: T; lockedMs: number }> {
  const { name } = projection
  for (let attempt = 1; ; attempt++) {
    try {
      let locked = 0
      const result = await inTransaction(pool, async (client) => {
        await client.query(`set local lock_timeout = ${lockTimeoutMs(attempt)}`)
        locked = performance.now()
        await client.query(ownGenerationSql(name))
        await createLanePlaces(client, projection)
        await lockWholeLane(client)
        return work(client)
      })
      return { result, lockedMs: performance.now() - locked }
    } catch (error) {
      if (!isLockTimeout(error)) throw error
      if (attempt >= attemptsMax) {
        throw new SwapBusy(`${name}: the lock was not free within ${attemptsMax} attempts`, { cause: error })
      }
      await pause(attemptPauseMs * (0.5 + Math.random()))
    }
  }
}

export interface SwapInput {
  pool: Pool
  projection: Projection
  rebuildId: string
  /** Brings the shadow to these positions, or to the end of the log, durably. */
  catchUp: (limits: Limits) => Promise<void>
  /** The shadow may lack what live has applied: the log lacks it. */
  acceptLog?: boolean
  /** Topics are read from their first record again. */
  fromFirstOffset?: boolean
}

/**
 * The shadow takes the place of the live read model, which stays as the previous one. One transaction; while it is open
 * projector transactions wait, readers do not: a renamed schema is locked by nobody, and statements that are prepared look its
 * name up again. The shadow may be ahead of live then, never behind it: what it lacks is folded outside the lock, as long as that
 * comes to an end.
 * @returns ms for which projectors were held up.
 */
export async function swap(input: SwapInput): Promise<number> {
  const { pool, projection, catchUp, acceptLog } = input
  await dropDiscarded(pool, projection.name)
  for (let attempt = 1; ; attempt++) {
    await catchUp(undefined)
    const { result, lockedMs } = await owningGeneration(pool, projection, async (client) => {
      if (!acceptLog && (await isBehind(client, projection))) {
        if (attempt < catchUpsMax) return 'behind'
        await catchUp(await positionsToReach(client, projection))
        const place = await isBehind(client, projection)
        if (place)
          throw new LogBehind(
            `${projection.name}: ${place}. Was the log restored from an older copy? The projector says what can be done ` +
              'about it; to rebuild from the log as it is: `npm run replay -- --all --accept-log`',
          )
      }
      await exchange(client, input)
      return 'swapped'
    })
    if (result === 'behind') continue
    // They have been out of use since the swap before; should they not go now, the next swap drops them.
    await dropDiscarded(pool, projection.name).catch(() => undefined)
    return lockedMs
  }
}

/**
 * Where the shadow has to stand when it joins the lane, by `topic/partition`: where live does, and where the lane does, which has gone on
 * without a live read model that is outside, or that does not read a topic.
 */
async function positionsToReach(client: PoolClient, projection: Projection): Promise<Map<string, bigint>> {
  const { rows } = await client.query<{ topic: string; partition: number; position: bigint }>(
    `select topic, partition, greatest(c.position, l.position) as position
     from ${laneTables.checkpoint} l left join ${tablesOf(projection, 'live').checkpoint} c using (topic, partition)
     where topic = any($1::text[])`,
    [projection.topics],
  )
  return new Map(rows.map(({ topic, partition, position }) => [`${topic}/${partition}`, position]))
}

/** @returns what live or the lane has applied and the shadow has not; `undefined`: nothing. */
async function isBehind(client: PoolClient, projection: Projection): Promise<string | undefined> {
  const toReach = await positionsToReach(client, projection)
  for (const [place, position] of await positionsOf(client, projection, 'next')) {
    const applied = toReach.get(place) ?? -1n
    if (position < applied)
      return `live has applied ${place} up to position ${applied}, the log ends at ${position} there`
  }
  return undefined
}

async function exchange(client: PoolClient, input: SwapInput): Promise<void> {
  const { projection, rebuildId, acceptLog, fromFirstOffset } = input
  const { name, version } = projection
  const [live, next, previous] = (['live', 'next', 'previous'] as const).map((g) => schemaOf(name, g))
  // The former rows keep where they stood; the new ones have all of the log up to where the shadow stands, and join the lane at once.
  await keepPlaces(client, projection, 'live')
  if (acceptLog || fromFirstOffset) await resetLane(client, projection, { streamsOfNext: acceptLog === true })
  await placeRebuilt(client, projection)
  const { stream, checkpoint } = tablesOf(projection, 'next')
  await client.query(`drop table ${stream}; drop table ${checkpoint}`)
  await createLaneViews(client, projection, 'next')
  if (await schemaExists(client, previous!)) {
    // Of a name of its own: the one before it may still be there, held by a reader.
    await client.query(`alter schema ${previous} rename to ${name}_discarded_${rebuildId.slice(-12)}`)
  }
  await client.query(`alter schema ${live} rename to ${previous}`)
  await client.query(`alter schema ${next} rename to ${live}`)
  await client.query(
    `update annals.projection set previous_version = version, version = $2, epoch = epoch + 1, swapped_at = now()
     where name = $1`,
    [name, version],
  )
  const { rowCount } = await client.query(
    `update annals.rebuild set state = 'live', ${workedSql} where id = $1 and state = 'swapping'`,
    [rebuildId],
  )
  if (rowCount !== 1) throw new RebuildTaken()
}

/** Drops what swaps have left behind, save what a reader still holds. */
async function dropDiscarded(pool: Pool, name: string): Promise<void> {
  const { rows } = await pool.query<{ schema: string }>(
    `select nspname as schema from pg_namespace where starts_with(nspname, $1)`,
    [`${name}_discarded`],
  )
  for (const { schema } of rows) {
    await dropSchema(pool, schema).catch((error: unknown) => {
      if (!isLockTimeout(error)) throw error
    })
  }
}

/** Drops a schema that nobody writes to; gives way to a reader that still holds it. */
export async function dropSchema(pool: Pool, schema: string): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query(`set local lock_timeout = '2s'`)
    await client.query(`drop schema if exists ${schema} cascade`)
  })
}

/** There is no previous generation. */
export class NoPrevious extends Error {
  override readonly name = 'NoPrevious'
}

/**
 * Live and previous change places. The read model is out of the lane then, where the former rows stood, and catches up from the log.
 * @returns the version that is live now.
 */
export async function rollBack(pool: Pool, projection: Projection): Promise<number> {
  const { name } = projection
  const [live, previous] = [schemaOf(name, 'live'), schemaOf(name, 'previous')]
  const { result } = await owningGeneration(pool, projection, async (client) => {
    if (!(await schemaExists(client, previous))) throw new NoPrevious(`${name} has no previous generation`)
    await keepPlaces(client, projection, 'live')
    await restorePlaces(client, projection)
    await client.query(`alter schema ${live} rename to ${name}_moving`)
    await client.query(`alter schema ${previous} rename to ${live}`)
    await client.query(`alter schema ${name}_moving rename to ${previous}`)
    const { rows } = await client.query<{ version: number }>(
      `update annals.projection
       set version = previous_version, previous_version = version, epoch = epoch + 1, swapped_at = now()
       where name = $1 returning version`,
      [name],
    )
    return rows[0]!.version
  })
  return result
}

/** Drops the generation kept for rollback. @throws NoPrevious */
export async function dropPrevious(pool: Pool, projection: Projection): Promise<void> {
  const previous = schemaOf(projection.name, 'previous')
  if (!(await schemaExists(pool, previous))) throw new NoPrevious(`${projection.name} has no previous generation`)
  await dropSchema(pool, previous)
  await pool.query('update annals.projection set previous_version = null where name = $1', [projection.name])
}
