import { postgresDeadlines, type Pool, type PoolClient } from '@annals/platform/postgres'
import { isChain, isOfOneStream } from '../../engine/definition/chain'
import type { Projection } from '../../engine/definition/projection'
import { checkpointsIn } from '../../engine/tables/checkpoint-table'
import { tablesOf } from '../../engine/tables/generation'
import { appliedSql, laneTables } from '../../engine/tables/lane-table'
import type { Builder, Limits } from './builder'
import { checksumOf, differencesBetween, isSame, type Checksum, type Differences } from './checksum'
import { sampleStreams, type Sampled } from '../../drift/sample'
import type { Pass } from './log-pass'

/** Streams folded afresh from the log for each verification. */
const sampleSize = 50
/** Differing keys that are told of rows, of streams, and of the sample; the first few show the pattern. */
const differencesMax = 20

export interface Verification {
  equal: boolean
  /** `false`: live has another version, or nothing was ever applied to it: only sample and recount speak. */
  compared: boolean
  live?: Checksum
  rebuilt: Checksum
  /** Whether all that was counted a second time agrees with what was rebuilt, whatever live says. */
  agrees: boolean
  /** Streams folded afresh from the log. */
  sampled: number
  /** Rows folded a second time during the rebuild, and streams whose revision was counted again. */
  recounted: { rows: number; streams: number }
  /** Sampled streams that somebody has deleted in the log: nothing can be said of them. */
  deleted: string[]
  /**
   * Keys of rows, then names of streams. They differ between live and rebuilt, or are on one side only (a note behind
   * the key says so). Or the log says otherwise for a sampled stream, or a recount finds a row or stream wrong. 20 of
   * each at most.
   */
  differing: string[]
  /** How many differ, when both were compared and are not the same. */
  differences?: Omit<Differences, 'keys'>
}

/** Positions of a generation's partitions, by `topic/partition`. */
export async function positionsOf(
  db: Pick<Pool, 'query'>,
  projection: Projection,
  generation: 'live' | 'next',
): Promise<Map<string, bigint>> {
  const found = await checkpointsIn(db, tablesOf(projection, generation).checkpoint)
  return new Map(found.map(({ topic, partition, checkpoint }) => [`${topic}/${partition}`, checkpoint.position]))
}

/**
 * The transaction stands idle while the log is read up to it, or while the other side is sorted. It holds nobody up: what is gone for
 * longer than the longest statement is ended by the server.
 */
const beginReadingSql = `begin isolation level repeatable read read only;
  set local idle_in_transaction_session_timeout = ${postgresDeadlines.longStatementMs}`

/**
 * Whether the lane feeds a read model everywhere, and has come as far as it: else the revisions of its streams are not known. After a swap
 * the lane may lack for a while what the rebuilt read model has from the log.
 */
export async function isAllJoined(db: Pick<Pool, 'query'>, { name }: Projection): Promise<boolean> {
  const { rows } = await db.query<{ all: boolean | null }>(
    `select bool_and(p.joined and l.position >= ${appliedSql}) as all
     from ${laneTables.place} p join ${laneTables.checkpoint} l using (topic, partition) where p.projection = $1`,
    [name],
  )
  return rows[0]?.all ?? false
}

/** Nothing was ever applied to a read model that stands there: there is nothing to compare with. */
export const isEmpty = (positions: ReadonlyMap<string, bigint>): boolean =>
  [...positions.values()].every((position) => position < 0n)

/**
 * Compares the shadow with the live read model at exactly the same positions: live is held in one transaction, the shadow is
 * brought to it, and both are counted and hashed. The live one goes on meanwhile. Whatever stands there, a sample of streams is
 * folded afresh, and what was recounted on the way is compared.
 * @param comparable live has the same version, the same columns and folds, and is not behind the shadow.
 * @param catchUp brings the shadow to the given positions, durably.
 */
export async function verify(
  builder: Builder,
  comparable: boolean,
  pool: Pool,
  pass: Pass,
  catchUp: (limits: Limits) => Promise<void>,
): Promise<Verification> {
  const { projection } = builder
  if (!comparable) {
    await catchUp(undefined)
    const rebuilt = await checksumOf(pool, projection, 'next')
    const alone = await verifyAlone(builder, pool, pass)
    return { equal: alone.agrees, compared: false, rebuilt, ...alone }
  }
  const reading = await pool.connect()
  try {
    await reading.query(beginReadingSql)
    // A chain stands at places of its own, in the order of the log, and needs no lane to be compared.
    if (!isChain(projection) && !(await isAllJoined(reading, projection))) {
      await reading.query('rollback')
      return await verify(builder, false, pool, pass, catchUp)
    }
    await catchUp(await positionsOf(reading, projection, 'live'))
    const live = await checksumOf(reading, projection, 'live')
    const rebuilt = await checksumOf(pool, projection, 'next')
    const alone = await verifyAlone(builder, pool, pass)
    const same = isSame(live, rebuilt)
    const found = same ? undefined : await differencesIn(projection, reading, pool)
    await reading.query('commit')
    return {
      equal: same && alone.agrees,
      compared: true,
      live,
      rebuilt,
      ...alone,
      differing: [...(found?.keys ?? []), ...alone.differing],
      ...(found ? { differences: { rows: found.rows, streams: found.streams } } : {}),
    }
  } finally {
    // Whatever happened: the transaction must not outlive this.
    await reading.query('rollback').catch(() => undefined)
    reading.release()
  }
}

/** What can be said of the shadow without another read model. */
async function verifyAlone(
  { projection, recount }: Builder,
  pool: Pool,
  pass: Pass,
): Promise<Pick<Verification, 'agrees' | 'sampled' | 'recounted' | 'deleted' | 'differing'>> {
  const sample = await sampleStreams(projection, 'next', sampleSize, { pool, ...pass })
  const { rows, streams, differing } = await recount.compare(pool, tablesOf(projection, 'next'), differencesMax)
  return {
    agrees: sample.differing.length === 0 && differing.length === 0,
    // Of rows that are made of many streams, only revisions were compared.
    sampled: isOfOneStream(projection) ? sample.compared : 0,
    recounted: { rows, streams },
    deleted: sample.deleted,
    differing: [...wrong(sample), ...differing],
  }
}

/**
 * Whether nothing has spoken for the shadow: no live read model that equals it, and none of what it should hold was counted a
 * second time. An empty log leaves nothing to count.
 */
export function isUnverified({ projection, events }: Builder, verification: Verification): boolean {
  const { equal, compared, sampled, recounted } = verification
  if ((compared && equal) || events === 0n) return false
  return recounted.rows === 0 || (isOfOneStream(projection) && sampled === 0)
}

/** @param reading in the transaction that live was counted in. */
async function differencesIn(projection: Projection, reading: PoolClient, pool: Pool): Promise<Differences> {
  const next = await pool.connect()
  try {
    await next.query(beginReadingSql)
    return await differencesBetween(projection, reading, next, differencesMax)
  } finally {
    await next.query('rollback').catch(() => undefined)
    next.release()
  }
}

const wrong = ({ differing }: Sampled): string[] =>
  differing.slice(0, differencesMax).map(({ stream }) => `${stream} (rebuilt is not what the log says)`)
