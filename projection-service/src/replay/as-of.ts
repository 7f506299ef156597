import type { OpenAll } from '@annals/contracts'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { loadBatchMemory } from '../engine/batch-memory'
import { applyEvent, decodeMemo, readFor, type DecodeMemo, type ReadEvent } from '../engine/fold'
import { createGeneration, indexStatements, placesOf, schemaOf, tablesOf, type Side } from '../engine/generation'
import type { Projection } from '../engine/projection'
import { rowTable } from '../engine/row-table'
import { RebuildStopped, type PlacedEvent } from './builder'
import type { EventSource } from './event-source'
import { schemaExists } from './rebuild-state'
import { dropSchema } from './swap'

/** What is known of a side, kept as the comment of its schema. */
export interface SideFacts {
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

/** The side is there already, is being made by somebody else, or is not there. */
export class SideError extends Error {
  override readonly name = 'SideError'
}

/** Folds events into tables of their own: a transaction for each chunk, nothing kept in memory between them. */
class SideFold {
  readonly #tables
  readonly #table
  readonly #places
  /** Position and time of the last event applied, by place. */
  readonly #reached = new Map<string, { position: bigint; at: string | null }>()
  events = 0
  readonly parkedStreams = new Set<string>()

  constructor(
    readonly projection: Projection,
    private readonly pool: Pool,
    readonly generation: Parameters<typeof createGeneration>[2],
  ) {
    this.#tables = tablesOf(projection, generation)
    this.#table = rowTable(projection, this.#tables.rows)
    this.#places = new Set(placesOf(projection).map(({ topic, partition }) => `${topic}/${partition}`))
  }

  async apply(chunk: readonly PlacedEvent[], openAll: OpenAll, memo: DecodeMemo): Promise<void> {
    const indexes = chunk.flatMap(({ place }, i) => (this.#places.has(place) ? [i] : []))
    if (indexes.length === 0) return
    const wanted = indexes.map((i) => chunk[i]!)
    const recorded = wanted.map((event) => event.recorded)
    const readings = await readFor(this.projection, recorded, openAll, { memo, indexes })
    const events = wanted.map((event, i): ReadEvent => ({
      recorded: event.recorded,
      partition: event.partition,
      reading: readings[i]!,
    }))
    await inTransaction(this.pool, async (client) => {
      // A side that a crash of PostgreSQL cuts short was never complete, and is made anew.
      await client.query('set local synchronous_commit = off')
      await this.#fold(client, events)
    })
    for (const { place, recorded: event } of wanted) {
      const at = (event.metadata as { occurredAt?: unknown } | null)?.occurredAt
      this.#reached.set(place, { position: event.position, at: typeof at === 'string' ? at : null })
    }
    this.events += events.length
  }

  async #fold(client: PoolClient, events: readonly ReadEvent[]): Promise<void> {
    const memory = await loadBatchMemory(client, this.projection, this.#table, this.#tables, events)
    for (const event of events) {
      // A duplicate is passed over: Kafka hands out a batch again after a rebalance.
      const verdict = applyEvent(this.projection, memory, event)
      if (verdict.kind === 'stop') throw new RebuildStopped(verdict.reason)
    }
    await memory.write()
    for (const { recorded } of memory.parked) this.parkedStreams.add(recorded.stream)
  }

  /** Indexes, statistics, and checkpoints that tell how far it goes. */
  async complete(): Promise<void> {
    for (const sql of indexStatements(this.projection, this.generation)) await this.pool.query(sql)
    await this.pool.query(`analyze ${this.#tables.rows}, ${this.#tables.stream}`)
    // A partition without events has been gone through as far as the others.
    const reached = [...this.#reached.values()]
    const end = reached.reduce((max, { position }) => (position > max ? position : max), -1n)
    const last = reached.reduce<string | null>((max, { at }) => (at && (!max || at > max) ? at : max), null)
    await this.pool.query(
      `update ${this.#tables.checkpoint} set position = $1, updated_at = coalesce($2::timestamptz, updated_at)`,
      [end, last],
    )
  }
}

export interface SideInput {
  projections: readonly Projection[]
  side: Side
  source: EventSource
  facts: Pick<SideFacts, 'kind' | 'what'>
  pool: Pool
  openAll: OpenAll
  signal: AbortSignal
  /** After every chunk, with how many events were gone through so far. */
  onChunk?: (events: number) => void
}

/**
 * Folds a source into sides of these projections, which appear together when all are complete. Live read models are not
 * touched. What an earlier, killed call left behind is thrown away.
 * @throws SideError when one of them is there already, or is being made; RebuildStopped at a hole or a newer version.
 */
export function makeSides(input: SideInput): Promise<(SideFacts & { projection: string })[]> {
  return excludingSide(input.pool, input.side, () => makeLocked(input))
}

async function makeLocked({ projections, side, source, facts, pool, openAll, signal, onChunk }: SideInput) {
  const growing = side.replace('asof_', 'asnew_') as `asnew_${string}`
  for (const { name } of projections) {
    if (await schemaExists(pool, schemaOf(name, side)))
      throw new SideError(`${schemaOf(name, side)} is there already: take another label, or \`replay drop-side\` first`)
  }
  const drop = async () => {
    for (const { name } of projections) await dropSchema(pool, schemaOf(name, growing))
  }
  await drop()
  try {
    await inTransaction(pool, async (client) => {
      for (const projection of projections) await createGeneration(client, projection, growing)
    })
    const folds = projections.map((projection) => new SideFold(projection, pool, growing))
    let events = 0
    for await (const chunk of source.chunks(signal)) {
      const memo = decodeMemo()
      for (const fold of folds) await fold.apply(chunk, openAll, memo)
      events += chunk.length
      onChunk?.(events)
    }
    signal.throwIfAborted()
    for (const fold of folds) await fold.complete()
    const made = folds.map((fold) => ({
      projection: fold.projection.name,
      ...facts,
      version: fold.projection.version,
      events: fold.events,
      parkedStreams: fold.parkedStreams.size,
    }))
    await inTransaction(pool, async (client) => {
      for (const { projection, ...told } of made) {
        const { rows } = await client.query<{ sql: string }>(
          `select format('comment on schema %I is %L', $1::text, $2::text) as sql`,
          [schemaOf(projection, growing), JSON.stringify(told)],
        )
        await client.query(rows[0]!.sql)
        await client.query(`alter schema ${schemaOf(projection, growing)} rename to ${schemaOf(projection, side)}`)
      }
    })
    return made
  } catch (error) {
    // Should PostgreSQL be away, the next call with this label drops it.
    await drop().catch(() => undefined)
    throw error
  }
}

/** @returns what is known of a side, or `undefined` when it is not there. */
export async function sideFacts(
  db: Pick<Pool, 'query'>,
  projection: Projection,
  side: Side,
): Promise<SideFacts | undefined> {
  const { rows } = await db.query<{ facts: string | null }>(
    `select obj_description(oid, 'pg_namespace') as facts from pg_namespace where nspname = $1`,
    [schemaOf(projection.name, side)],
  )
  return rows[0]?.facts ? (JSON.parse(rows[0].facts) as SideFacts) : undefined
}

/** Every side of these projections, by label. */
export async function listSides(
  pool: Pool,
  projections: readonly Projection[],
): Promise<(SideFacts & { projection: string; label: string })[]> {
  const { rows } = await pool.query<{ projection: string; label: string; facts: string | null }>(
    `select p as projection, substr(nspname, length(p || '_asof_') + 1) as label, obj_description(oid, 'pg_namespace') as facts
     from unnest($1::text[]) p join pg_namespace on starts_with(nspname, p || '_asof_') order by label, p`,
    [projections.map(({ name }) => name)],
  )
  return rows.flatMap(({ projection, label, facts }) =>
    facts ? [{ projection, label, ...(JSON.parse(facts) as SideFacts) }] : [],
  )
}

/**
 * Drops the sides with a label, of all these projections.
 * @returns the schemas that are gone.
 * @throws SideError when there is none, or when it is being made.
 */
export function dropSides(pool: Pool, projections: readonly Projection[], side: Side): Promise<string[]> {
  return excludingSide(pool, side, async () => {
    const dropped: string[] = []
    for (const { name } of projections) {
      const schema = schemaOf(name, side)
      if (!(await schemaExists(pool, schema))) continue
      await dropSchema(pool, schema)
      dropped.push(schema)
    }
    if (dropped.length === 0) throw new SideError('there is no side with this label')
    return dropped
  })
}

/** Two calls with one label exclude each other. */
async function excludingSide<T>(pool: Pool, side: Side, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    const { rows } = await client.query<{ held: boolean }>(
      `select pg_try_advisory_lock(hashtextextended('annals.side.' || $1, 0)) as held`,
      [side],
    )
    if (!rows[0]!.held) throw new SideError('another process is making or dropping sides with this label')
    return await work()
  } finally {
    await client.query('select pg_advisory_unlock_all()').catch(() => undefined)
    client.release(true)
  }
}
