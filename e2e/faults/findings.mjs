/**
 * What a check found broken, by kind and place.
 *
 * lost       a fact that has to be there is not
 * doubled    a fact is there more often than once
 * reordered  a fact stands before one that it follows
 * wrong      it is there once, and says something else; or it is there, and nothing asked for it
 */
export const kinds = /** @type {const} */ (['lost', 'doubled', 'reordered', 'wrong'])

/** Examples kept for the report of each kind and place: enough to start looking, not enough to drown in. */
const examplesMax = 5

export class Findings {
  /** @type {Map<string, { kind: string, place: string, count: number, examples: string[] }>} */
  #found = new Map()

  lost = (place, what, count = 1) => this.#add('lost', place, what, count)
  doubled = (place, what, count = 1) => this.#add('doubled', place, what, count)
  reordered = (place, what, count = 1) => this.#add('reordered', place, what, count)
  wrong = (place, what, count = 1) => this.#add('wrong', place, what, count)

  #add(kind, place, what, count) {
    const key = `${kind}.${place}`
    const entry = this.#found.get(key) ?? { kind, place, count: 0, examples: [] }
    entry.count += count
    if (entry.examples.length < examplesMax) entry.examples.push(what)
    this.#found.set(key, entry)
  }

  get none() {
    return this.#found.size === 0
  }

  /** @param {string} kind @param {string} [place] default: everywhere @returns {number} */
  count(kind, place) {
    return this.all()
      .filter((entry) => entry.kind === kind && (place === undefined || entry.place === place))
      .reduce((sum, entry) => sum + entry.count, 0)
  }

  /** @returns {{ kind: string, place: string, count: number, examples: string[] }[]} */
  all() {
    return [...this.#found.values()]
  }

  /** @returns {string} one line: `12 lost.read-models, 1 doubled.topics` */
  summary() {
    return this.all()
      .map(({ kind, place, count }) => `${count} ${kind}.${place}`)
      .join(', ')
  }
}
