import type { OpenAll, RecordedEvent } from '@annals/contracts'
import { loadCheckpoints } from '@annals/platform/checkpoint'
import { inTransaction, type Pool } from '@annals/platform/postgres'
import {
  applyEvent,
  readFor,
  touchedRows,
  type DecodeMemo,
  type Memory,
  type ParkedEvent,
  type ReadEvent,
  type StreamState,
} from '../engine/fold'
import { droppedEvents, droppedReading } from '../engine/drops'
import { placesOf, tablesOf } from '../engine/generation'
import { rowName, type Projection, type StoredRow } from '../engine/projection'
import { rowTable } from '../engine/row-table'
import { copyStreams, insertParked, loadStreams, upsertStreams } from '../engine/stream-table'
import { moveRebuild, type Rebuild } from './rebuild-state'
import { RowCache } from './row-cache'

/** An event and where it travels, which the shared read has worked out once for all builders. */
export interface PlacedEvent {
  recorded: RecordedEvent
  /** `topic/partition`. */
  place: string
  partition: number
}

/** Per partition (`topic/partition`), the log position beyond which the shadow must not go; `undefined`: to the end. */
export type Limits = ReadonlyMap<string, bigint> | undefined

/** The log holds something that this release can not fold: the rebuild ends here, and nothing is swapped. */
export class RebuildStopped extends Error {
  override readonly name = 'RebuildStopped'
}

/** Changed rows and streams in memory before they are written: some 10 MB, and few enough writes to be fast. */
const dirtyMax = (builders: number): number => Math.floor(10_000 * share(builders))
/** What is folded is written at least this often, so that no kill costs more work than that. */
const flushEveryMs = 2_000
/** Unchanged rows and streams kept for later events: some 10 MB of each. */
const cleanMax = (builders: number): number => Math.floor(20_000 * share(builders))
/** Up to three projections have the whole; more share what three have, so that memory does not grow with them. */
const share = (builders: number): number => Math.min(1, 3 / builders)

/** Folds the log into a projection's shadow: in memory, written in large steps that move the rebuild's position with them. */
export class Builder {
  readonly #tables
  readonly #table
  readonly #rows
  readonly #streams
  readonly #parked: ParkedEvent[] = []
  readonly #dirtyMax: number
  /** Position of the last event applied, by place. */
  readonly #reached = new Map<string, bigint>()
  #written: Pick<Rebuild, 'position' | 'events'>
  #position: bigint
  #events: bigint
  /** Position before the first event of this round that is beyond its limit: where the next round begins. */
  #heldAt: bigint | undefined
  #flushing: Promise<void> | undefined
  #flushedAt = performance.now()
  /** Ids of events that people have dropped from this version. */
  #dropped: ReadonlySet<string> = new Set()

  private constructor(
    readonly projection: Projection,
    private readonly pool: Pool,
    private readonly rebuild: Rebuild,
    builders: number,
  ) {
    this.#dirtyMax = dirtyMax(builders)
    this.#tables = tablesOf(projection, 'next')
    this.#table = rowTable(projection, this.#tables.rows)
    const empty = rebuild.position < 0n && rebuild.events === 0n
    this.#rows = new RowCache<StoredRow>(projection.grain === 'event' ? 0 : cleanMax(builders), empty)
    this.#streams = new RowCache<StreamState>(cleanMax(builders), empty)
    this.#written = { position: rebuild.position, events: rebuild.events }
    this.#position = rebuild.position
    this.#events = rebuild.events
  }

  /** @param builders how many there are in this process. */
  static async open(projection: Projection, pool: Pool, rebuild: Rebuild, builders: number): Promise<Builder> {
    const builder = new Builder(projection, pool, rebuild, builders)
    builder.#dropped = await droppedEvents(pool, projection)
    const places = placesOf(projection)
    const checkpoints = await loadCheckpoints(pool, builder.#tables.checkpoint, places)
    for (const [i, { topic, partition }] of places.entries()) {
      builder.#reached.set(`${topic}/${partition}`, checkpoints[i]?.position ?? -1n)
    }
    return builder
  }

  /** Reading goes on after this log position. */
  get position(): bigint {
    return this.#position
  }

  /** Events gone through, since the rebuild began. */
  get events(): bigint {
    return this.#events
  }

  /** Position of the last event applied, by `topic/partition`. */
  get reached(): ReadonlyMap<string, bigint> {
    return this.#reached
  }

  /** Whether there is nothing within the limits that has not been folded. */
  hasReached(limits: Limits): boolean {
    return (
      limits !== undefined && [...this.#reached].every(([place, position]) => position >= (limits.get(place) ?? -1n))
    )
  }

  /** A new pass through the log begins, with other limits. */
  beginRound(): void {
    this.#heldAt = undefined
  }

  /**
   * Folds what is new and within the limits.
   * @param events in log order, a gapless part of the log as far as this projection reads it.
   * @param before log position of the event before the first one.
   * @throws RebuildStopped at a hole or a newer version.
   */
  async apply(events: readonly PlacedEvent[], limits: Limits, openAll: OpenAll, memo: DecodeMemo): Promise<void> {
    const wanted: PlacedEvent[] = []
    const indexes: number[] = []
    let position = this.#position
    for (const [index, event] of events.entries()) {
      const reached = this.#reached.get(event.place)
      if (reached === undefined) continue
      if (event.recorded.position > reached) {
        const limit = limits?.get(event.place)
        if (limits && event.recorded.position > (limit ?? -1n)) this.#heldAt ??= position
        else {
          wanted.push(event)
          indexes.push(index)
        }
      }
      position = event.recorded.position
    }
    if (wanted.length > 0) await this.#fold(wanted, indexes, openAll, memo)
    const last = events.at(-1)?.recorded.position ?? this.#position
    this.#position = this.#heldAt ?? (last > this.#position ? last : this.#position)
    const isFull = this.#rows.dirtySize >= this.#dirtyMax || this.#streams.dirtySize >= this.#dirtyMax
    const isDue = performance.now() - this.#flushedAt >= flushEveryMs && this.#events !== this.#written.events
    if (isFull || isDue) await this.#flushBehind()
  }

  async #fold(wanted: readonly PlacedEvent[], indexes: readonly number[], openAll: OpenAll, memo: DecodeMemo) {
    const recorded = wanted.map((event) => event.recorded)
    const readings = await readFor(this.projection, recorded, openAll, { memo, indexes })
    const events = wanted.map((event, i): ReadEvent => ({
      recorded: event.recorded,
      partition: event.partition,
      reading: this.#dropped.has(event.recorded.id) ? droppedReading : readings[i]!,
    }))
    await this.#load(events)
    const memory: Memory = {
      row: (name) => this.#rows.get(name)?.row,
      setRow: (name, row) => this.#rows.set(name, row),
      stream: (name) => this.#streams.get(name),
      setStream: (name, state) => this.#streams.set(name, state),
      park: (parked) => this.#parked.push(parked),
    }
    for (const [i, event] of events.entries()) {
      const verdict = applyEvent(this.projection, memory, event)
      if (verdict.kind === 'stop') throw new RebuildStopped(verdict.reason)
      if (verdict.kind === 'duplicate') {
        const { stream, revision, position } = event.recorded
        throw new RebuildStopped(`the log holds revision ${revision} of ${stream} twice, at position ${position} again`)
      }
      this.#reached.set(wanted[i]!.place, event.recorded.position)
    }
    this.#events += BigInt(events.length)
  }

  /** Brings in what only the tables know. A stream's first event tells that there is nothing of it. */
  async #load(events: readonly ReadEvent[]): Promise<void> {
    this.#rows.trim()
    this.#streams.trim()
    if (this.#rows.isComplete && this.#streams.isComplete) return
    const begun = new Set<string>()
    const streams = new Set<string>()
    for (const { recorded } of events) {
      if (recorded.revision === 0) begun.add(recorded.stream)
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

  /** Writes while folding goes on; a second flush waits for the first. */
  async #flushBehind(): Promise<void> {
    await this.#flushing
    this.#flushedAt = performance.now()
    this.#flushing = this.#write()
    // Its failure is met where it is awaited.
    this.#flushing.catch(() => undefined)
  }

  /** Writes everything there is; when it returns, the shadow and the rebuild's position are durable together. */
  async flush(): Promise<void> {
    await this.#flushing
    const { position, events } = this.#written
    if (this.#position === position && this.#events === events) return
    await this.#flushBehind()
    await this.#flushing
  }

  async #write(): Promise<void> {
    const to = { position: this.#position, events: this.#events }
    const rows = this.#rows.beginFlush()
    const streams = this.#streams.beginFlush()
    const parked = this.#parked.splice(0)
    const places = [...this.#reached].map(([place, position]) => [...place.split('/'), position] as const)
    await inTransaction(this.pool, async (client) => {
      // Lost in a crash of PostgreSQL it is lost whole, and folded again.
      await client.query('set local synchronous_commit = off')
      await moveRebuild(client, this.rebuild.id, this.#written, to)
      if (rows.inserts.size > 0) await this.#table.copy(client, rows.inserts.values())
      await this.#table.upsert(client, [...rows.replacements.values()])
      await copyStreams(client, this.#tables.stream, streams.inserts)
      await upsertStreams(client, this.#tables.stream, streams.replacements)
      await insertParked(client, this.#tables.parked, parked)
      await client.query(
        `update ${this.#tables.checkpoint} c set position = v.position, updated_at = now()
         from unnest($1::text[], $2::integer[], $3::bigint[]) as v (topic, partition, position)
         where c.topic = v.topic and c.partition = v.partition and c.position <> v.position`,
        [places.map(([topic]) => topic), places.map(([, partition]) => partition), places.map(([, , at]) => at)],
      )
    })
    this.#written = to
    this.#rows.endFlush()
    this.#streams.endFlush()
  }
}
