/**
 * Arrivals of a Poisson process.
 *
 * @param {{ perSecond: number, forMs: number, random: ReturnType<typeof import('../log/random.mjs').createRandom> }} options
 * @returns {number[]} ms from the beginning, ascending
 */
export function scheduleOf({ perSecond, forMs, random }) {
  const times = []
  for (let at = 0; ;) {
    at += (-Math.log(1 - random.fraction()) / perSecond) * 1_000
    if (at >= forMs) return times
    times.push(at)
  }
}

/** @param {number} at by `performance.now()` @returns {Promise<void>} resolves then, never before */
export const dueAt = (at) => new Promise((resolve) => setTimeout(resolve, at - performance.now()))
