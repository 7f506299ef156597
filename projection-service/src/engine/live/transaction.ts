import type { OpenAll } from '@annals/contracts'
import { isSamePlace, type ReadingPlace } from '@annals/platform/checkpoint'
import type { TopicPartition } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import type { Pool, PoolClient } from '@annals/platform/postgres'
import type { Projection } from '../definition/projection'
import { applyEvent, readFor, type ReadEvent, type Verdict } from '../fold/fold'
import type { MapMemory } from '../fold/memory'
import { liveCheckpoint } from '../tables/checkpoint-table'
import { tablesOf } from '../tables/generation'
import { shareGenerationSql } from '../tables/registry'
import { isRowFault, refusedReading } from '../tables/row-fault'
import { rowTable } from '../tables/row-table'
import type { Arrived } from './arrivals'
import { loadBatchMemory, writeBatchMemory, type BatchTables } from './batch-memory'
import { furthestOf, reachedIn, type Applied, type Part } from './part'

/**
 * An instance that is frozen in the middle of a transaction holds its partition's checkpoint, and whoever has taken the
 * partition over waits for it: the server ends such a transaction. Between two statements lies one fold, of milliseconds.
 */
const frozenMsMax = 10_000

/** What transactions tell about themselves. */
export interface TransactionObserver {
  applied(verdict: Exclude<Verdict['kind'], 'stop'>, count: number): void
  transaction(seconds: number, events: number): void
}

export interface TransactionDependencies {
  pool: Pool
  openAll: OpenAll
  log: Logger
  observer: TransactionObserver
}

interface Folded {
  memory: MapMemory
  counts: ReadonlyMap<Exclude<Verdict['kind'], 'stop'>, number>
  stop: (Extract<Verdict, { kind: 'stop' }> & { index: number }) | undefined
}

/** Folds and writes parts of batches, each with its checkpoint in one transaction. */
export class PartTransactions {
  /** Where this instance left each partition's checkpoint: what its next transaction must find. */
  readonly #expected = new Map<string, ReadingPlace>()
  readonly #tables: BatchTables
  readonly #checkpoint: ReturnType<typeof liveCheckpoint>
  readonly #beginSql: string

  constructor(
    private readonly projection: Projection,
    private readonly deps: TransactionDependencies,
  ) {
    const names = tablesOf(projection, 'live')
    this.#tables = { names, rows: rowTable(projection, names.rows) }
    this.#checkpoint = liveCheckpoint(projection.name, names.checkpoint)
    // Not waiting for the disk: what PostgreSQL loses in a crash is lost whole, checkpoint and rows, and is done again. No
    // sequential scans: everything here goes by key, and plans that were kept from when a table was small must not say otherwise.
    this.#beginSql = `begin; set local synchronous_commit = off; set local enable_seqscan = off;
      set local idle_in_transaction_session_timeout = ${frozenMsMax}; ${shareGenerationSql(projection.name)}`
  }

  /** What the next transaction of a partition must find. */
  expect(place: TopicPartition, checkpoint: ReadingPlace): void {
    this.#expected.set(nameOf(place), checkpoint)
  }

  /**
   * Applies a part in one transaction; in several, where PostgreSQL refuses a row: halves of it, until the event is found that leads to
   * that row, and is parked. All others go on.
   */
  async apply(part: Part, arrived: readonly Arrived[]): Promise<Applied> {
    try {
      return await this.#attempt(part, arrived)
    } catch (error) {
      const [only, ...others] = arrived
      if (!isRowFault(error) || !only || only.reading) throw error
      if (others.length === 0) return this.#attempt(part, [{ ...only, reading: refusedReading(error) }])
      const middle = Math.floor(arrived.length / 2)
      const first = await this.apply({ ...part, nextOffset: arrived[middle]!.offset }, arrived.slice(0, middle))
      if (first.kind !== 'committed' || first.stop) return first
      const second = await this.apply(part, arrived.slice(middle))
      if (second.kind !== 'committed' || !second.stop) return second
      return { ...second, stop: { ...second.stop, index: middle + second.stop.index } }
    }
  }

  async #attempt(part: Part, arrived: readonly Arrived[]): Promise<Applied> {
    const began = performance.now()
    const readings = await readFor(
      this.projection,
      arrived.map(({ recorded }) => recorded),
      this.deps.openAll,
    )
    const events = arrived.map(({ recorded, reading }, i) => ({
      recorded,
      partition: part.partition,
      // What nobody asks for needs no content.
      reading: (this.projection.on[recorded.type] && reading) ?? readings[i]!,
    }))
    const client = await this.deps.pool.connect()
    let failed: Error | undefined
    try {
      const applied = await this.#write(client, part, arrived, events)
      if (applied.kind !== 'committed') await client.query('rollback')
      return applied
    } catch (error) {
      failed = error as Error
      await client.query('rollback').catch(() => undefined)
      throw error
    } finally {
      client.release(failed)
      this.deps.observer.transaction((performance.now() - began) / 1000, arrived.length)
    }
  }

  /**
   * One transaction: from where the checkpoint stands to the part's end, or to the event that has to wait. What was seen before is
   * told by its stream's revision alone: a topic that was filled anew brings what it lacked at any log position and offset.
   */
  async #write(
    client: PoolClient,
    part: Part,
    arrived: readonly Arrived[],
    events: readonly ReadEvent[],
  ): Promise<Applied> {
    await client.query(this.#beginSql)
    const { version, place: found } = await this.#checkpoint.lock(client, part)
    if (version !== this.projection.version) return { kind: 'other-version', version }
    if (!isSamePlace(found, this.#expected.get(nameOf(part)))) return { kind: 'moved' }

    const { memory, counts, stop } = await this.#fold(client, events)
    const end = stop ? stop.index : events.length
    const reached = reachedIn(part, stop && arrived[end]!.offset, found)
    // What was published again, or heals a hole, is older than what has been applied: the position never goes back.
    const furthest = furthestOf(events.slice(0, end), found.position)
    const position = furthest?.position ?? found.position

    await writeBatchMemory(client, this.#tables, memory)
    const isMoved = await this.#checkpoint.move(client, part, found, { ...reached, position }, furthest?.id)
    if (!isMoved) return { kind: 'moved' }
    await client.query('commit')

    this.#expected.set(nameOf(part), reached)
    this.#tell(memory, counts)
    return { kind: 'committed', ...(stop ? { stop: { ...stop, offset: reached.nextOffset } } : {}) }
  }

  async #fold(client: PoolClient, events: readonly ReadEvent[]): Promise<Folded> {
    const memory = await loadBatchMemory(client, this.projection, this.#tables, events)
    const counts = new Map<Exclude<Verdict['kind'], 'stop'>, number>()
    for (const [index, event] of events.entries()) {
      const verdict = applyEvent(this.projection, memory, event)
      if (verdict.kind === 'stop') return { memory, counts, stop: { index, ...verdict } }
      counts.set(verdict.kind, (counts.get(verdict.kind) ?? 0) + 1)
    }
    return { memory, counts, stop: undefined }
  }

  /** After the commit: until then nothing has happened. */
  #tell({ parked }: MapMemory, counts: Folded['counts']): void {
    for (const [verdict, count] of counts) this.deps.observer.applied(verdict, count)
    for (const { recorded, error } of parked) {
      if (!error) continue
      const { stream, revision, type } = recorded
      this.deps.log.error(
        { projection: this.projection.name, stream, revision, type, err: error },
        'event parked, its stream is blocked',
      )
    }
  }
}

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
