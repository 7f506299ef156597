import { textHash } from './text-hash'

/** Entries that are left when a sample is thinned out; it holds twice as many at most. */
export const sampleSize = 500

/** Above every hash: as long as nothing was left out, the sample is all there is. */
const hashMax = 2 ** 32 - 1

/**
 * A sample of names, chosen by their hashes alone: those with the smallest ones. The threshold only falls. So a name
 * that is in the sample at the end was in it from its first mention on, and what is kept of it is complete. Memory is
 * bounded, however many names there are. Bottom-k sampling.
 * @see https://doi.org/10.1145/1281100.1281133 Cohen and Kaplan, "Summarizing data using bottom-k sketches"
 */
export class HashSample<Value> {
  #threshold = hashMax
  readonly #entries = new Map<string, { hash: number; value: Value }>()

  /** @param salt before every name, so that each sample is another one. Letters and digits. */
  constructor(
    readonly salt: string,
    private readonly size = sampleSize,
  ) {}

  /** Every name with a hash up to this one, as `hashtext` has it without its sign, is in the sample. */
  get threshold(): number {
    return this.#threshold
  }

  get count(): number {
    return this.#entries.size
  }

  /** Whether a name belongs to the sample, as far as it is known now. */
  has(name: string): boolean {
    return textHash(this.salt + name) <= this.#threshold
  }

  get(name: string): Value | undefined {
    return this.#entries.get(name)?.value
  }

  /** Of a name that belongs to the sample. */
  set(name: string, value: Value): void {
    const entry = this.#entries.get(name)
    if (entry) {
      entry.value = value
      return
    }
    this.#entries.set(name, { hash: textHash(this.salt + name), value })
    if (this.#entries.size > 2 * this.size) this.#thin()
  }

  values(): Value[] {
    return [...this.#entries.values()].map(({ value }) => value)
  }

  #thin(): void {
    const hashes = [...this.#entries.values()].map(({ hash }) => hash).toSorted((a, b) => a - b)
    this.#threshold = hashes[this.size - 1]!
    for (const [name, { hash }] of this.#entries) if (hash > this.#threshold) this.#entries.delete(name)
  }
}
