import type { Row } from '../definition/columns'
import { rowName, type Projection, type StoredRow } from '../definition/projection'
import type { ParkedEvent, RowMemory } from './fold'

/** The rows of one read model, for a batch: what was loaded, and what folding has changed of it. */
export class ModelMemory implements RowMemory {
  readonly #rows = new Map<string, Row>()
  readonly #changed = new Map<string, StoredRow>()
  readonly parked: ParkedEvent[] = []
  /** Streams that stand still at a parked event. */
  readonly blocked = new Set<string>()

  constructor(readonly projection: Projection) {}

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

  /** Rows that folding has made or changed. */
  get changed(): StoredRow[] {
    return [...this.#changed.values()]
  }
}
