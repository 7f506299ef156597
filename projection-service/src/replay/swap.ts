import { pause } from '@annals/platform/backoff'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { schemaOf, tablesOf } from '../engine/generation'
import type { Projection } from '../engine/projection'
import { ownGenerationSql } from '../engine/registry'
import type { Limits } from './builder'
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

/** Projector transactions take some 100 ms at most; whoever waits longer for them lets others go first and tries again. */
const lockTimeoutMs = 250
const attemptsMax = 40
/** Between attempts. */
const attemptPauseMs = 100

const isLockTimeout = (error: unknown) => (error as { code?: unknown } | null)?.code === '55P03'

/** Runs `work` in a transaction that owns the projection: no projector transaction is open meanwhile. Retried while busy. */
export async function owningGeneration<T>(
  pool: Pool,
  name: string,
  work: (client: PoolClient) => Promise<T>,
): Promise<{ result: T; lockedMs: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      let locked = 0
      const result = await inTransaction(pool, async (client) => {
        await client.query(`set local lock_timeout = ${lockTimeoutMs}`)
        await client.query(ownGenerationSql(name))
        locked = performance.now()
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
  /** Brings the shadow to these positions, durably; runs once before the lock and once, for what came since, within it. */
  catchUp: (limits: Limits) => Promise<void>
  /** The shadow stays at live's positions; otherwise it goes to the end of the log. */
  comparable: boolean
}

/**
 * The shadow takes the place of the live read model, which stays as the previous one. One transaction; while it is open
 * projector transactions wait, readers do not.
 * @returns ms for which projectors were held up.
 */
export async function swap({ pool, projection, rebuildId, catchUp, comparable }: SwapInput): Promise<number> {
  const { name, version } = projection
  const [live, next, previous] = (['live', 'next', 'previous'] as const).map((g) => schemaOf(name, g))
  const discarded = `${name}_discarded`
  await dropSchema(pool, discarded)
  const limits = async (db: Pick<Pool, 'query'>) => (comparable ? positionsOf(db, projection, 'live') : undefined)
  await catchUp(await limits(pool))

  const { lockedMs } = await owningGeneration(pool, name, async (client) => {
    await catchUp(await limits(client))
    const at = await positionsOf(client, projection, 'live')
    for (const [place, position] of await positionsOf(client, projection, 'next')) {
      const reached = at.get(place) ?? -1n
      if (position >= reached) continue
      throw new LogBehind(
        `${name}: live has applied ${place} up to position ${reached}, the log ends at ${position} there`,
      )
    }
    // Kafka's offsets go on where live stood; what the shadow has seen beyond is passed over by log position.
    await client.query(
      `update ${tablesOf(projection, 'next').checkpoint} n set next_offset = l.next_offset
       from ${tablesOf(projection, 'live').checkpoint} l where l.topic = n.topic and l.partition = n.partition`,
    )
    if (await schemaExists(client, previous!)) await client.query(`alter schema ${previous} rename to ${discarded}`)
    await client.query(`alter schema ${live} rename to ${previous}`)
    await client.query(`alter schema ${next} rename to ${live}`)
    await client.query(
      `update annals.projection set previous_version = version, version = $2, epoch = epoch + 1, swapped_at = now()
       where name = $1`,
      [name, version],
    )
    const { rowCount } = await client.query(
      `update annals.rebuild set state = 'live', updated_at = now() where id = $1 and state = 'swapping'`,
      [rebuildId],
    )
    if (rowCount !== 1) throw new RebuildTaken('another process goes on with this rebuild, or has aborted it')
  })
  // It has been out of use since the swap before; should it not go now, the next rebuild drops it.
  await dropSchema(pool, discarded).catch(() => undefined)
  return lockedMs
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
 * Live and previous change places. The projector finds the older checkpoints and catches up from Kafka.
 * @returns the version that is live now.
 */
export async function rollBack(pool: Pool, projection: Projection): Promise<number> {
  const { name } = projection
  const [live, previous] = [schemaOf(name, 'live'), schemaOf(name, 'previous')]
  const { result } = await owningGeneration(pool, name, async (client) => {
    if (!(await schemaExists(client, previous))) throw new NoPrevious(`${name} has no previous generation`)
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
