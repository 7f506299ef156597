import { postgresDeadlines, type Pool, type PoolClient } from '@annals/platform/postgres'
import type { Projection } from '../../engine/projection'
import { tablesOf } from '../../engine/generation'
import type { Builder, Limits } from './builder'
import { checksumOf, differencesBetween, isSame, type Checksum, type Differences } from './checksum'
import { compareSample } from '../../drift/sample'
import type { Pass } from './log-pass'

/** Streams folded afresh from the log for each verification. */
const sampleSize = 50
/** Differing keys that are told of rows, of streams, and of the sample; the first few show the pattern. */
const differencesMax = 20

export interface Verification {
  equal: boolean
  /** `false`: live has another version, or nothing was ever applied to it: only the sample speaks. */
  compared: boolean
  live?: Checksum
  rebuilt: Checksum
  sampled: number
  /**
   * Keys of rows, then names of streams, that differ between live and rebuilt or are on one side only (which is said behind
   * them), then sampled streams whose rebuilt rows are not what the log says; 20 of each at most.
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
  const { rows } = await db.query<{ topic: string; partition: number; position: bigint }>(
    `select topic, partition, position from ${tablesOf(projection, generation).checkpoint}`,
  )
  return new Map(rows.map(({ topic, partition, position }) => [`${topic}/${partition}`, position]))
}

/**
 * A snapshot stands idle while the log is read up to it, or while the other side is sorted. It holds nobody up: what is gone for
 * longer than the longest statement is ended by the server.
 */
const beginSnapshotSql = `begin isolation level repeatable read read only;
  set local idle_in_transaction_session_timeout = ${postgresDeadlines.longStatementMs}`

/** Nothing was ever applied to a read model that stands there: there is nothing to compare with. */
export const isEmpty = (positions: ReadonlyMap<string, bigint>): boolean =>
  [...positions.values()].every((position) => position < 0n)

/**
 * Compares the shadow with the live read model at exactly the same positions: a snapshot of live is held, the shadow is
 * brought to it, and both are counted and hashed. The live one goes on meanwhile.
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
    const sample = await compareSample(projection, 'next', sampleSize, { pool, ...pass })
    return {
      equal: sample.differing.length === 0,
      compared: false,
      rebuilt,
      sampled: sample.compared,
      differing: wrong(sample),
    }
  }
  const snapshot = await pool.connect()
  try {
    await snapshot.query(beginSnapshotSql)
    await catchUp(await positionsOf(snapshot, projection, 'live'))
    const live = await checksumOf(snapshot, projection, 'live')
    const rebuilt = await checksumOf(pool, projection, 'next')
    const sample = await compareSample(projection, 'next', sampleSize, { pool, ...pass })
    const same = isSame(live, rebuilt)
    const found = same ? undefined : await differencesIn(projection, snapshot, pool)
    await snapshot.query('commit')
    return {
      equal: same && sample.differing.length === 0,
      compared: true,
      live,
      rebuilt,
      sampled: sample.compared,
      differing: [...(found?.keys ?? []), ...wrong(sample)],
      ...(found ? { differences: { rows: found.rows, streams: found.streams } } : {}),
    }
  } finally {
    // Whatever happened: the snapshot must not outlive this.
    await snapshot.query('rollback').catch(() => undefined)
    snapshot.release()
  }
}

/** @param snapshot in the transaction that live was counted in. */
async function differencesIn(projection: Projection, snapshot: PoolClient, pool: Pool): Promise<Differences> {
  const next = await pool.connect()
  try {
    await next.query(beginSnapshotSql)
    return await differencesBetween(projection, snapshot, next, differencesMax)
  } finally {
    await next.query('rollback').catch(() => undefined)
    next.release()
  }
}

const wrong = ({ differing }: { differing: readonly string[] }): string[] =>
  differing.slice(0, differencesMax).map((stream) => `${stream} (rebuilt is not what the log says)`)
