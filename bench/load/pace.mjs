/**
 * Runs `work` with so many at once for so long: closed loop, each begins when one ends.
 *
 * @param {number} concurrency
 * @param {number} forMs no work begins after it; what is on its way is waited for, and counts if it ended in time
 * @param {() => Promise<void>} work
 * @returns {Promise<{ count: number, perSecond: number, total: number }>} `count` ended within the time, `total` in all
 */
export async function closedLoop(concurrency, forMs, work) {
  const begunAt = performance.now()
  const endsAt = begunAt + forMs
  let count = 0
  let total = 0
  const one = async () => {
    while (performance.now() < endsAt) {
      await work()
      total += 1
      if (performance.now() <= endsAt) count += 1
    }
  }
  await Promise.all(Array.from({ length: concurrency }, one))
  return { count, perSecond: (count / forMs) * 1000, total }
}
