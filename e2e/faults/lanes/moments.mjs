import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'

/** An instance that is frozen in a transaction holds its locks until the server ends it: nobody stands in line for that long. */
const lockMsMax = 500
const againMs = 200
/** Longer than a frozen transaction lives, several times. */
const changeMsMax = 60_000
/** Not yet: a lock that was not free, a deadlock, a row that somebody else was changing. */
const notYet = new Set(['55P03', '40P01', 'XX000'])

/** @param {{ min: number, max: number }} range @param {() => number} random @returns {number} */
export const between = ({ min, max }, random) => min + random() * (max - min)

/**
 * Does something in the read models' database, and tries again while somebody is in the way.
 *
 * @template T
 * @param {string} url
 * @param {(db: Client) => Promise<T>} change safe to repeat after it has failed
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function changeUntilDone(url, change, signal) {
  const deadline = Date.now() + changeMsMax
  for (;;) {
    const db = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 10_000 })
    await db.connect()
    try {
      await db.query(`set lock_timeout = ${lockMsMax}`)
      return await change(db)
    } catch (error) {
      if (!notYet.has(error.code) || Date.now() > deadline) throw error
    } finally {
      await db.end()
    }
    await delay(againMs, undefined, { signal })
  }
}
