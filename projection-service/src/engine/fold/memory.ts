import type { ChainHead } from '@annals/platform/hash-chain'
import type { Row } from '../definition/columns'
import { rowName, type StoredRow } from '../definition/projection'
import type { Memory, ParkedEvent, StreamState } from './fold'

/** What a fold begins with. By default nothing is there: as if there had never been a row. */
export interface Loaded {
  rows?: Iterable<StoredRow>
  streams?: Iterable<readonly [string, StreamState]>
}

/** A memory in maps, for a batch or a stream: what was loaded, and what folding has changed of it. */
export class MapMemory implements Memory {
  readonly #rows = new Map<string, Row>()
  readonly #streams: Map<string, StreamState>
  readonly #changedRows = new Map<string, StoredRow>()
  readonly #changedStreams = new Map<string, StreamState>()
  readonly #parked: ParkedEvent[] = []
  readonly #heads = new Map<string, ChainHead>()

  constructor({ rows = [], streams = [] }: Loaded = {}) {
    for (const { key, shard, row } of rows) this.#rows.set(rowName(key, shard), row)
    this.#streams = new Map(streams)
  }

  row(name: string): Row | undefined {
    return this.#rows.get(name)
  }

  setRow(name: string, stored: StoredRow): void {
    this.#rows.set(name, stored.row)
    this.#changedRows.set(name, stored)
  }

  stream(name: string): StreamState | undefined {
    return this.#streams.get(name)
  }

  setStream(name: string, state: StreamState): void {
    this.#streams.set(name, state)
    this.#changedStreams.set(name, state)
  }

  park(parked: ParkedEvent): void {
    this.#parked.push(parked)
  }

  head(place: string): ChainHead | undefined {
    return this.#heads.get(place)
  }

  setHead(place: string, head: ChainHead): void {
    this.#heads.set(place, head)
  }

  /** Rows that folding has made or changed. */
  get changedRows(): StoredRow[] {
    return [...this.#changedRows.values()]
  }

  get changedStreams(): ReadonlyMap<string, StreamState> {
    return this.#changedStreams
  }

  /** Events that folding has parked or queued, in order. */
  get parked(): readonly ParkedEvent[] {
    return this.#parked
  }
}
