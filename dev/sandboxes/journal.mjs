import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Records in memory, and as JSON lines on disk, each written before the sandbox answers: what was accepted survives a `kill -9`
 * of this process. A last line that a kill cut off is dropped at the next start; its sender never heard a yes.
 *
 * @template {{ id: string }} Entry
 */
export class Journal {
  /** @type {Map<string, { entry: Entry, bytes: number }>} oldest first */
  #entries = new Map()
  #bytes = 0
  #linesOnDisk = 0
  #file
  #bounds

  /**
   * @param {string} file is made when it is missing
   * @param {{ countMax: number, bytesMax: number }} bounds beyond either, the oldest entries go; bytes are those of the JSON
   */
  constructor(file, bounds) {
    this.#file = file
    this.#bounds = bounds
    mkdirSync(dirname(file), { recursive: true })
    if (!existsSync(file)) return
    const text = readFileSync(file, 'utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    for (const line of whole.split('\n')) if (line) this.#keep(JSON.parse(line), line.length)
    // What comes next must not be written behind half a line; whole lines stay, former ones of an id too.
    if (whole.length < text.length) truncateSync(file, Buffer.byteLength(whole))
  }

  /** @param {Entry} entry */
  add(entry) {
    const line = JSON.stringify(entry)
    appendFileSync(this.#file, `${line}\n`)
    this.#keep(entry, line.length)
    if (this.#linesOnDisk > 2 * this.#bounds.countMax) this.#rewrite()
  }

  /** @param {string} id @returns {Entry | undefined} */
  get(id) {
    return this.#entries.get(id)?.entry
  }

  /** @param {(entry: Entry) => boolean} matches @returns {Entry[]} newest first */
  find(matches) {
    return [...this.#entries.values()]
      .map(({ entry }) => entry)
      .filter(matches)
      .toReversed()
  }

  clear() {
    this.#entries.clear()
    this.#bytes = 0
    this.#rewrite()
  }

  #keep(entry, bytes) {
    this.#entries.set(entry.id, { entry, bytes })
    this.#bytes += bytes
    this.#linesOnDisk += 1
    while (this.#entries.size > this.#bounds.countMax || this.#bytes > this.#bounds.bytesMax) {
      const [[oldestId, oldest]] = this.#entries
      this.#entries.delete(oldestId)
      this.#bytes -= oldest.bytes
    }
  }

  #rewrite() {
    const draft = `${this.#file}.new`
    writeFileSync(draft, [...this.#entries.values()].map(({ entry }) => `${JSON.stringify(entry)}\n`).join(''))
    renameSync(draft, this.#file)
    this.#linesOnDisk = this.#entries.size
  }
}
