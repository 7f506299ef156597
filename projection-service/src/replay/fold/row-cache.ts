interface Entry<Value> {
  value: Value
  /** The table holds an older form of it: to be replaced, not inserted. */
  stored: boolean
}

/** What one flush writes: inserts can be copied, replacements not. */
export interface Flush<Value> {
  inserts: Map<string, Value>
  replacements: Map<string, Value>
}

/**
 * The part of a table that a rebuild has in memory: changed entries until they are written, unchanged ones up to a bound.
 * As long as nothing was ever left out, what is not here is not in the table either, and no query has to ask.
 */
export class RowCache<Value> {
  #dirty = new Map<string, Entry<Value>>()
  #flushing = new Map<string, Entry<Value>>()
  readonly #clean = new Map<string, Value>()
  #complete: boolean

  /**
   * @param cleanMax unchanged entries kept at most.
   * @param empty the table is empty now.
   */
  constructor(
    private readonly cleanMax: number,
    empty: boolean,
  ) {
    this.#complete = empty
  }

  get dirtySize(): number {
    return this.#dirty.size
  }

  /** Nothing was ever left out: what is not here is not in the table. */
  get isComplete(): boolean {
    return this.#complete
  }

  /** Whether only the table can tell. */
  isUnknown(name: string): boolean {
    return !this.#complete && !this.#dirty.has(name) && !this.#flushing.has(name) && !this.#clean.has(name)
  }

  get(name: string): Value | undefined {
    return this.#dirty.get(name)?.value ?? this.#flushing.get(name)?.value ?? this.#clean.get(name)
  }

  set(name: string, value: Value): void {
    const dirty = this.#dirty.get(name)
    if (dirty) dirty.value = value
    else this.#dirty.set(name, { value, stored: this.#flushing.has(name) || this.#clean.has(name) })
  }

  /** An entry as the table holds it. */
  loaded(name: string, value: Value): void {
    this.#clean.set(name, value)
  }

  /** Takes what has changed; it stays readable here. Only one flush at a time. */
  beginFlush(): Flush<Value> {
    this.#flushing = this.#dirty
    this.#dirty = new Map()
    const flush: Flush<Value> = { inserts: new Map(), replacements: new Map() }
    for (const [name, { value, stored }] of this.#flushing)
      (stored ? flush.replacements : flush.inserts).set(name, value)
    return flush
  }

  /** The flush was committed. */
  endFlush(): void {
    for (const [name, { value }] of this.#flushing) {
      // Taken out first: what was changed last is the last to leave.
      this.#clean.delete(name)
      this.#clean.set(name, value)
    }
    this.#flushing = new Map()
  }

  /** Forgets the oldest unchanged entries beyond the bound. Never while a caller relies on what it has just looked up. */
  trim(): void {
    for (const name of this.#clean.keys()) {
      if (this.#clean.size <= this.cleanMax) break
      this.#clean.delete(name)
      this.#complete = false
    }
  }
}
