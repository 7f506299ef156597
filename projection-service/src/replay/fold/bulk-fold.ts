import type { OpenAll, RecordedEvent } from '@annals/contracts'
import { loadCheckpoints } from '@annals/platform/checkpoint'
import type { ChainHead } from '@annals/platform/hash-chain'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { isChain } from '../../engine/definition/chain'
import { droppedEvents, droppedReading } from '../../engine/parking/drops'
import {
  applyEvent,
  readFor,
  touchedRows,
  type DecodeMemo,
  type Memory,
  type ParkedEvent,
  type ReadEvent,
  type StreamState,
  type Verdict,
} from '../../engine/fold/fold'
import { movePositions } from '../../engine/tables/checkpoint-table'
import { placesOf, tablesOf, type Generation } from '../../engine/tables/generation'
import { rowName, type Projection, type StoredRow } from '../../engine/definition/projection'
import { loadHeads, upsertHeads } from '../../engine/tables/head-table'
import { rowTable } from '../../engine/tables/row-table'
import { copyStreams, insertParked, loadStreams, upsertStreams } from '../../engine/tables/stream-table'
import type { Pace } from './pace'
import { RowCache } from './row-cache'

/** An event and where it travels, which the shared read has worked out once for all folds. */
export interface PlacedEvent {
  recorded: RecordedEvent
  /** `topic/partition`. */
  place: string
  partition: number
  /** When the log recorded it, in epoch ms; from topics, which do not tell, when it happened. NaN: unknown. */
  at: number
}

/** The source holds something that this release can not fold: the fold ends here, and its tables are not used. */
export class RebuildStopped extends Error {
  override readonly name = 'RebuildStopped'
}

/** Is told what became of each event that was folded. */
export type Witness = (event: ReadEvent, verdict: Verdict['kind']) => void

/** What other folds of the same chunk have decoded, and the index in it of each event. */
interface Shared {
  memo: DecodeMemo
  indexes: readonly number[]
}

export interface BulkFoldOptions {
  /** The tables that are filled. */
  generation: Generation
  /** They are empty now. */
  empty: boolean
  /** What a revision is that was folded before: a fault of the log, or, from topics, to be passed over. */
  repeats: 'refused' | 'passed-over'
  /** How many folds there are in this process. */
  folds: number
  pace: Pace
}

/** Changed rows and streams in memory before they are written: some 10 MB, and few enough writes to be fast. */
const dirtyMax = (folds: number): number => Math.floor(10_000 * share(folds))
/** Unchanged rows and streams kept for later events: some 10 MB of each. */
const cleanMax = (folds: number): number => Math.floor(20_000 * share(folds))
/** Up to three projections have the whole; more share what three have, so that memory does not grow with them. */
const share = (folds: number): number => Math.min(1, 3 / folds)

/**
 * Folds many events into tables that nobody else writes: in memory, written in large steps while folding goes on, as COPY where
 * a row is new. Rebuilds and snapshots are filled by it.
 */
export class BulkFold {
  readonly #tables
  readonly #table
  readonly #rows
  readonly #streams
  readonly #dirtyMax: number
  readonly #flushEveryMs: number
  readonly #parked: ParkedEvent[] = []
  readonly #reached = new Map<string, bigint>()
  /** Ids of the events at those positions, where they were folded here. */
  readonly #reachedEvents = new Map<string, string>()
  /** Last entries of its chains. */
  #heads = new Map<string, ChainHead>()
  /** Ids of events that people have dropped from this version. */
  #dropped: ReadonlySet<string> = new Set()
  #flushing: Promise<void> | undefined
  #flushedAt = performance.now()

  private constructor(
    readonly projection: Projection,
    private readonly pool: Pool,
    private readonly repeats: BulkFoldOptions['repeats'],
    { generation, empty, folds, pace }: BulkFoldOptions,
  ) {
    this.#tables = tablesOf(projection, generation)
    this.#table = rowTable(projection, this.#tables.rows)
    this.#dirtyMax = dirtyMax(folds)
    this.#flushEveryMs = pace.flushEveryMs
    this.#rows = new RowCache<StoredRow>(
      projection.grain === 'event' || isChain(projection) ? 0 : cleanMax(folds),
      empty,
    )
    this.#streams = new RowCache<StreamState>(cleanMax(folds), empty)
  }

  static async open(projection: Projection, pool: Pool, options: BulkFoldOptions): Promise<BulkFold> {
    const fold = new BulkFold(projection, pool, options.repeats, options)
    fold.#dropped = await droppedEvents(pool, projection)
    if (isChain(projection)) fold.#heads = await loadHeads(pool, fold.#tables.head)
    const places = placesOf(projection)
    const checkpoints = await loadCheckpoints(pool, fold.#tables.checkpoint, places)
    for (const [i, { topic, partition }] of places.entries()) {
      fold.#reached.set(`${topic}/${partition}`, checkpoints[i]?.position ?? -1n)
    }
    return fold
  }

  /** Log position of the last event folded, for every partition that the projection reads, by `topic/partition`. */
  get reached(): ReadonlyMap<string, bigint> {
    return this.#reached
  }

  /** Whether what was folded is to be written before more is: there is much of it, or it has waited long. */
  get isDue(): boolean {
    return (
      this.#rows.dirtySize >= this.#dirtyMax ||
      this.#streams.dirtySize >= this.#dirtyMax ||
      performance.now() - this.#flushedAt >= this.#flushEveryMs
    )
  }

  /**
   * @param events of partitions that the projection reads, those of each in their order.
   * @throws RebuildStopped at a hole, a newer version, or a repeat that is refused.
   */
  async fold(events: readonly PlacedEvent[], openAll: OpenAll, shared: Shared, witness?: Witness): Promise<void> {
    const read = await this.#read(events, openAll, shared)
    await this.#load(read)
    const memory: Memory = {
      row: (name) => this.#rows.get(name)?.row,
      setRow: (name, row) => this.#rows.set(name, row),
      stream: (name) => this.#streams.get(name),
      setStream: (name, state) => this.#streams.set(name, state),
      park: (parked) => this.#parked.push(parked),
      head: (place) => this.#heads.get(place),
      setHead: (place, head) => this.#heads.set(place, head),
    }
    for (const [i, event] of read.entries()) {
      const verdict = applyEvent(this.projection, memory, event)
      if (verdict.kind === 'stop') throw new RebuildStopped(verdict.reason)
      const { stream, revision, position } = event.recorded
      if (verdict.kind === 'duplicate') {
        if (this.repeats === 'passed-over') continue
        throw new RebuildStopped(`the log holds revision ${revision} of ${stream} twice, at position ${position} again`)
      }
      witness?.(event, verdict.kind)
      this.#reached.set(events[i]!.place, position)
      this.#reachedEvents.set(events[i]!.place, event.recorded.id)
    }
  }

  /** Reads what an earlier run has folded once more, and changes nothing: the tables tell what was parked of it. */
  async again(events: readonly PlacedEvent[], openAll: OpenAll, shared: Shared, witness: Witness): Promise<void> {
    const read = await this.#read(events, openAll, shared)
    const { rows } = await this.pool.query<{ stream: string; revision: bigint }>(
      `select stream, min(revision) as revision from ${this.#tables.parked} where stream = any($1::text[]) group by stream`,
      [[...new Set(events.map(({ recorded }) => recorded.stream))]],
    )
    const parkedAt = new Map(rows.map(({ stream, revision }) => [stream, Number(revision)]))
    for (const event of read) {
      const { stream, revision } = event.recorded
      const first = parkedAt.get(stream) ?? Number.POSITIVE_INFINITY
      witness(event, revision < first ? 'applied' : revision === first ? 'parked' : 'queued')
    }
  }

  async #read(events: readonly PlacedEvent[], openAll: OpenAll, shared: Shared): Promise<ReadEvent[]> {
    const recorded = events.map((event) => event.recorded)
    const readings = await readFor(this.projection, recorded, openAll, shared)
    return events.map((event, i) => ({
      recorded: event.recorded,
      partition: event.partition,
      reading: this.#dropped.has(event.recorded.id) ? droppedReading : readings[i]!,
    }))
  }

  /** Brings in what only the tables know. A stream's first event tells that there is nothing of it, where nothing is repeated. */
  async #load(events: readonly ReadEvent[]): Promise<void> {
    this.#rows.trim()
    this.#streams.trim()
    if (this.#rows.isComplete && this.#streams.isComplete) return
    const begun = new Set<string>()
    const streams = new Set<string>()
    for (const { recorded } of events) {
      if (recorded.revision === 0 && this.repeats === 'refused') begun.add(recorded.stream)
      else if (!begun.has(recorded.stream) && this.#streams.isUnknown(recorded.stream)) streams.add(recorded.stream)
    }
    const old =
      this.projection.grain === 'stream' ? events.filter(({ recorded }) => !begun.has(recorded.stream)) : events
    const rows = touchedRows(this.projection, old).filter(({ key, shard }) => this.#rows.isUnknown(rowName(key, shard)))
    if (streams.size === 0 && rows.length === 0) return
    const client = await this.pool.connect()
    try {
      for (const [stream, state] of await loadStreams(client, this.#tables.stream, [...streams])) {
        this.#streams.loaded(stream, state)
      }
      for (const row of await this.#table.load(client, rows)) this.#rows.loaded(rowName(row.key, row.shard), row)
    } finally {
      client.release()
    }
  }

  /**
   * Writes what was folded while folding goes on; a second flush waits for the first.
   * @param alongside written in the same transaction.
   */
  async flushBehind(alongside?: (client: PoolClient) => Promise<void>): Promise<void> {
    await this.#flushing
    this.#flushedAt = performance.now()
    this.#flushing = this.#write(alongside)
    // Its failure is met where it is awaited.
    this.#flushing.catch(() => undefined)
  }

  /** Resolves when what is being written is durable. @throws what made writing fail */
  async written(): Promise<void> {
    await this.#flushing
  }

  async #write(alongside?: (client: PoolClient) => Promise<void>): Promise<void> {
    const rows = this.#rows.beginFlush()
    const streams = this.#streams.beginFlush()
    const parked = this.#parked.splice(0)
    // As they are now: folding goes on while this is written.
    const heads = new Map(this.#heads)
    const reached = [...this.#reached].map(([place, position]) => {
      const [topic, partition] = place.split('/') as [string, string]
      return { topic, partition: Number(partition), position, eventId: this.#reachedEvents.get(place) }
    })
    await inTransaction(this.pool, async (client) => {
      // Lost in a crash of PostgreSQL it is lost whole, and folded again.
      await client.query('set local synchronous_commit = off')
      await alongside?.(client)
      if (rows.inserts.size > 0) await this.#table.copy(client, rows.inserts.values())
      await this.#table.upsert(client, [...rows.replacements.values()])
      await copyStreams(client, this.#tables.stream, streams.inserts)
      await upsertStreams(client, this.#tables.stream, streams.replacements)
      await insertParked(client, this.#tables.parked, parked)
      if (isChain(this.projection)) await upsertHeads(client, this.#tables.head, heads)
      await movePositions(client, this.#tables.checkpoint, reached)
    })
    this.#rows.endFlush()
    this.#streams.endFlush()
  }
}
