import type { ChainHead } from '@annals/platform/hash-chain'
import type { ChainHeads } from '../definition/chain'
import type { Row } from '../definition/columns'
import { rowName, type Projection, type StoredRow } from '../definition/projection'
import type { ParkedEvent, RowMemory } from './fold'

/** The rows of one read model, for a batch: what was loaded, and what folding has changed of it. */
export class ModelMemory implements RowMemory {
  readonly #rows = new Map<string, Row>()
  readonly #changed = new Map<string, StoredRow>()
  readonly #heads: Map<string, ChainHead>
  readonly parked: ParkedEvent[] = []
  /** Streams that stand still at a parked event. */
  readonly blocked = new Set<string>()

  /** @param heads of its chains, where it has some. */
  constructor(
    readonly projection: Projection,
    heads: ChainHeads = new Map(),
  ) {
    this.#heads = new Map(heads)
  }

  load({ key, shard, row }: StoredRow): void {
    this.#rows.set(rowName(key, shard), row)
  }

  row(name: string): Row | undefined {
    return this.#rows.get(name)
  }

  setRow(name: string, stored: StoredRow): void {
    this.#rows.set(name, stored.row)
    this.#changed.set(name, stored)
  }

  park(parked: ParkedEvent): void {
    this.parked.push(parked)
    this.blocked.add(parked.recorded.stream)
  }

  head(place: string): ChainHead | undefined {
    return this.#heads.get(place)
  }

  setHead(place: string, head: ChainHead): void {
    this.#heads.set(place, head)
  }

  get heads(): ChainHeads {
    return this.#heads
  }

  /** Rows that folding has made or changed. */
  get changed(): StoredRow[] {
    return [...this.#changed.values()]
  }
}
