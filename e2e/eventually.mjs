import { setTimeout as delay } from 'node:timers/promises'

const lookEveryMs = 100

/**
 * Waits for a fact: asks again until the check passes.
 *
 * @template T
 * @param {() => Promise<T> | T} check throws while it is not so
 * @param {number} [withinMs]
 * @returns {Promise<T>}
 * @throws what the check threw last
 */
export async function eventually(check, withinMs = 20_000) {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await delay(lookEveryMs)
  }
}
