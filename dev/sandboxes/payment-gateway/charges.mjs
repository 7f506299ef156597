import { join } from 'node:path'
import { Journal } from '../journal.mjs'

/**
 * @typedef {{ status: 'succeeded', id: string } | { status: 'declined', reason: string }} Result
 *
 * @typedef {object} Charge one line of the file
 * @property {string} id its key again: what the journal finds it by
 * @property {string} key
 * @property {number} [at] epoch ms; former releases did not write it
 * @property {string} request what was asked, as text: a key belongs to one request
 * @property {Result | null} result `null`: the request came and nothing became of it
 */

/** In a folder of the sandbox's data. */
export const chargesFileName = 'charges.jsonl'

/** What was charged is never forgotten: a fault run holds the log against all of it. 400 bytes each. */
const bounds = { countMax: Infinity, bytesMax: Infinity }

/**
 * What the sandbox has been asked and what became of it, so that it remembers over restarts.
 *
 * @param {string} folder
 * @param {{ keyHours?: number, now?: () => number }} [options] `keyHours`: after so long a key is forgotten, as by a real payment
 *   payment gateway, and what was charged under it stays on record; `now` in epoch ms
 */
export function openCharges(folder, { keyHours = 24, now = Date.now } = {}) {
  /** @type {Journal<Charge>} */
  const journal = new Journal(join(folder, chargesFileName), bounds)
  return {
    /** @param {string} key @returns {Charge | undefined} `undefined` too when the key was forgotten */
    find(key) {
      const charge = journal.get(key)
      return charge?.at !== undefined && now() - charge.at > keyHours * 3_600_000 ? undefined : charge
    },
    /** It survives the end of this process when it returns. @param {Omit<Charge, 'at' | 'id'>} charge */
    record: (charge) => journal.add({ id: charge.key, ...charge, at: now() }),
  }
}
