import type { OpenAll } from '@annals/contracts'
import { inTransaction, longQuery, type Pool } from '@annals/platform/postgres'
import { decodeMemo, type DecodeMemo } from '../../engine/fold/fold'
import {
  createGeneration,
  indexStatements,
  schemaOf,
  tablesOf,
  type Generation,
  type Snapshot,
} from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { BulkFold, type PlacedEvent } from '../fold/bulk-fold'
import { paceOf } from '../fold/pace'
import type { EventSource } from '../source/event-source'
import { createHeapBound } from '../fold/heap-bound'
import { schemaExists } from '../rebuild/rebuild-state'
import { dropSchema } from '../rebuild/swap'

/** What is known of a snapshot, kept as the comment of its schema. */
export interface SnapshotFacts {
  /** `as-of`: everything up to a point of the log. `scope`: some streams, whole. */
  kind: 'as-of' | 'scope'
  /** For people: the point, or the scope. */
  what: string
  /** Of the projection. */
  version: number
  events: number
  /** Streams that stand still at an event which could not be applied. */
  parkedStreams: number
}

/** The snapshot is there already, is being made by somebody else, or is not there. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

/** A snapshot while it grows: what of a source its projection reads, folded in bulk. Killed, it is made anew. */
class GrowingSnapshot {
  readonly #places
  /** When the newest event was recorded, epoch ms; -Infinity: there is none, or none that tells. */
  #at = Number.NEGATIVE_INFINITY
  events = 0

  private constructor(
    private readonly pool: Pool,
    private readonly fold: BulkFold,
    private readonly generation: Generation,
  ) {
    this.#places = new Set(fold.reached.keys())
  }

  /** @param folds how many snapshots grow in this process. */
  static async open(
    projection: Projection,
    pool: Pool,
    generation: Generation,
    repeats: EventSource['repeats'],
    folds: number,
  ): Promise<GrowingSnapshot> {
    const fold = await BulkFold.open(projection, pool, {
      generation,
      empty: true,
      repeats,
      folds,
      pace: paceOf(undefined),
    })
    return new GrowingSnapshot(pool, fold, generation)
  }

  get projection(): Projection {
    return this.fold.projection
  }

  async apply(chunk: readonly PlacedEvent[], openAll: OpenAll, memo: DecodeMemo): Promise<void> {
    const indexes = chunk.flatMap(({ place }, i) => (this.#places.has(place) ? [i] : []))
    if (indexes.length === 0) return
    const wanted = indexes.map((i) => chunk[i]!)
    await this.fold.fold(wanted, openAll, { memo, indexes })
    for (const { at } of wanted) if (at > this.#at) this.#at = at
    this.events += wanted.length
    if (this.fold.isDue) await this.fold.flushBehind()
  }

  /** Resolves when nothing is being written any more. */
  written(): Promise<void> {
    return this.fold.written()
  }

  /**
   * Writes what is left, makes indexes, and checkpoints that tell how far it goes.
   * @returns how many streams stand still at an event which could not be applied.
   */
  async complete(): Promise<number> {
    await this.fold.flushBehind()
    await this.fold.written()
    const { rows, stream, checkpoint, parked } = tablesOf(this.projection, this.generation)
    for (const sql of indexStatements(this.projection, this.generation)) await longQuery(this.pool, sql)
    await longQuery(this.pool, `analyze ${rows}, ${stream}`)
    // A partition without events has been gone through as far as the others.
    const end = [...this.fold.reached.values()].reduce((max, position) => (position > max ? position : max), -1n)
    // Topics tell only when events say that they happened: one that says so of the future makes no snapshot newer than now.
    const last = Number.isFinite(this.#at) ? new Date(Math.min(this.#at, Date.now())).toISOString() : null
    await this.pool.query(
      `update ${checkpoint} set position = $1, updated_at = coalesce($2::timestamptz, updated_at)`,
      [end, last],
    )
    const found = await this.pool.query<{ streams: bigint }>(`select count(distinct stream) as streams from ${parked}`)
    return Number(found.rows[0]!.streams)
  }
}

export interface SnapshotInput {
  projections: readonly Projection[]
  snapshot: Snapshot
  source: EventSource
  facts: Pick<SnapshotFacts, 'kind' | 'what'>
  pool: Pool
  openAll: OpenAll
  signal: AbortSignal
  /** After every chunk, with how many events were gone through so far. */
  onChunk?: (events: number) => void
}

/**
 * Folds a source into snapshots of these projections, which appear together when all are complete. Live read models are not
 * touched. What an earlier, killed call left behind is thrown away.
 * @throws SnapshotError when one of them is there already, or is being made; RebuildStopped at a hole or a newer version.
 */
export function makeSnapshots(input: SnapshotInput): Promise<(SnapshotFacts & { projection: string })[]> {
  return excludingSnapshot(input.pool, input.snapshot, () => makeLocked(input))
}

async function makeLocked({ projections, snapshot, source, facts, pool, openAll, signal, onChunk }: SnapshotInput) {
  const growing = snapshot.replace('asof_', 'asnew_') as `asnew_${string}`
  for (const { name } of projections) {
    if (await schemaExists(pool, schemaOf(name, snapshot)))
      throw new SnapshotError(
        `${schemaOf(name, snapshot)} is there already: take another label, or \`replay snapshot drop\` first`,
      )
  }
  const drop = async () => {
    for (const { name } of projections) await dropSchema(pool, schemaOf(name, growing))
  }
  await drop()
  const folds: GrowingSnapshot[] = []
  try {
    await inTransaction(pool, async (client) => {
      for (const projection of projections) await createGeneration(client, projection, growing)
    })
    for (const projection of projections)
      folds.push(await GrowingSnapshot.open(projection, pool, growing, source.repeats, projections.length))
    const boundHeap = createHeapBound()
    let events = 0
    for await (const chunk of source.chunks(signal)) {
      const memo = decodeMemo()
      for (const fold of folds) await fold.apply(chunk, openAll, memo)
      boundHeap()
      events += chunk.length
      onChunk?.(events)
    }
    signal.throwIfAborted()
    const made: (SnapshotFacts & { projection: string })[] = []
    for (const fold of folds) {
      const parkedStreams = await fold.complete()
      const { name, version } = fold.projection
      made.push({ projection: name, ...facts, version, events: fold.events, parkedStreams })
    }
    await inTransaction(pool, async (client) => {
      for (const { projection, ...told } of made) {
        const { rows } = await client.query<{ sql: string }>(
          `select format('comment on schema %I is %L', $1::text, $2::text) as sql`,
          [schemaOf(projection, growing), JSON.stringify(told)],
        )
        await client.query(rows[0]!.sql)
        await client.query(`alter schema ${schemaOf(projection, growing)} rename to ${schemaOf(projection, snapshot)}`)
      }
    })
    return made
  } catch (error) {
    // What is being written still holds the tables. Should PostgreSQL be away, the next call with this label drops it.
    await Promise.allSettled(folds.map((fold) => fold.written()))
    await drop().catch(() => undefined)
    throw error
  }
}

/** @returns what is known of a snapshot, or `undefined` when it is not there. */
export async function snapshotFacts(
  db: Pick<Pool, 'query'>,
  projection: Projection,
  snapshot: Snapshot,
): Promise<SnapshotFacts | undefined> {
  const { rows } = await db.query<{ facts: string | null }>(
    `select obj_description(oid, 'pg_namespace') as facts from pg_namespace where nspname = $1`,
    [schemaOf(projection.name, snapshot)],
  )
  return rows[0]?.facts ? (JSON.parse(rows[0].facts) as SnapshotFacts) : undefined
}

/** Every snapshot of these projections, by label. */
export async function listSnapshots(
  pool: Pool,
  projections: readonly Projection[],
): Promise<(SnapshotFacts & { projection: string; label: string })[]> {
  const { rows } = await pool.query<{ projection: string; label: string; facts: string | null }>(
    `select p as projection, substr(nspname, length(p || '_asof_') + 1) as label, obj_description(oid, 'pg_namespace') as facts
     from unnest($1::text[]) p join pg_namespace on starts_with(nspname, p || '_asof_') order by label, p`,
    [projections.map(({ name }) => name)],
  )
  return rows.flatMap(({ projection, label, facts }) =>
    facts ? [{ projection, label, ...(JSON.parse(facts) as SnapshotFacts) }] : [],
  )
}

/**
 * Drops the snapshots with a label, of all these projections.
 * @returns the schemas that are gone.
 * @throws SnapshotError when there is none, or when it is being made.
 */
export function dropSnapshots(pool: Pool, projections: readonly Projection[], snapshot: Snapshot): Promise<string[]> {
  return excludingSnapshot(pool, snapshot, async () => {
    const dropped: string[] = []
    for (const { name } of projections) {
      const schema = schemaOf(name, snapshot)
      if (!(await schemaExists(pool, schema))) continue
      await dropSchema(pool, schema)
      dropped.push(schema)
    }
    if (dropped.length === 0) throw new SnapshotError('there is no snapshot with this label')
    return dropped
  })
}

/** Two calls with one label exclude each other. */
async function excludingSnapshot<T>(pool: Pool, snapshot: Snapshot, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    const { rows } = await client.query<{ held: boolean }>(
      `select pg_try_advisory_lock(hashtextextended('annals.snapshot.' || $1, 0)) as held`,
      [snapshot],
    )
    if (!rows[0]!.held) throw new SnapshotError('another process is making or dropping snapshots with this label')
    return await work()
  } finally {
    await client.query('select pg_advisory_unlock_all()').catch(() => undefined)
    client.release(true)
  }
}
