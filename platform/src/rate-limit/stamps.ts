/** How many times may stand before the first one that counts until they are thrown away, at least. */
const wasteMin = 64

/** Times of attempts, from the oldest to the newest. Time passes at their beginning and attempts come at their end. */
export class Stamps {
  #times: number[] = []
  /** Index of the first that counts. */
  #first = 0

  get count(): number {
    return this.#times.length - this.#first
  }

  /** @returns the one at a place, from 0 on. */
  at(place: number): number | undefined {
    return this.#times[this.#first + place]
  }

  add(time: number): void {
    this.#times.push(time)
  }

  /** Forgets those up to a time. What that costs is paid for by those who came. */
  passUntil(time: number): void {
    while (this.#first < this.#times.length && this.#times[this.#first]! <= time) this.#first++
    if (this.#first < wasteMin || this.#first * 2 < this.#times.length) return
    this.#times = this.#times.slice(this.#first)
    this.#first = 0
  }

  /** Forgets one of those with this time: the last, which is near the end. */
  remove(time: number): void {
    const index = this.#times.lastIndexOf(time)
    if (index >= this.#first) this.#times.splice(index, 1)
  }
}
