import { setTimeout as delay } from 'node:timers/promises'

/**
 * Watches a number that grows until all is done, and times the growth. What is watched knows nothing of it, so any
 * implementation can be timed; the end is seen by its silence and has to be proved by a count afterwards.
 *
 * @param {object} options
 * @param {() => Promise<number>} options.sample the number now; 0 before the beginning
 * @param {() => boolean} [options.complete] whether the last sample was the end; without it silence is
 * @param {number} [options.least] silence below it is no end yet, but a pause
 * @param {number} options.withinMs for all of it
 * @param {AbortSignal} options.signal
 * @param {(value: number) => void} [options.onProgress]
 * @param {number} [options.everyMs] between samples
 * @param {number} [options.quietMs] as long as this without growth is the end, six times as long below `least` a failure
 * @returns {Promise<{ value: number, first: number, ms: number }>} `first`: the first number seen that was not 0; `ms` passed
 *   from there until `value`, the last one, was there
 */
export async function watchGrowth({
  sample,
  complete = () => false,
  least = 0,
  withinMs,
  signal,
  onProgress,
  everyMs = 100,
  quietMs = 5_000,
}) {
  const deadline = performance.now() + withinMs
  let first
  let firstAt
  let value = 0
  let at = performance.now()
  for (;;) {
    signal.throwIfAborted()
    const sampledAt = performance.now()
    const now = await sample()
    if (now > value) {
      value = now
      at = sampledAt
      first ??= now
      firstAt ??= sampledAt
      onProgress?.(now)
    }
    const quiet = sampledAt - at
    if (first !== undefined && (complete() || (value >= least && quiet > quietMs)))
      return { value, first, ms: at - firstAt }
    if (first !== undefined && quiet > 6 * quietMs)
      throw new Error(`nothing came for ${(6 * quietMs) / 1000} s, at ${value}`)
    if (sampledAt > deadline) throw new Error(`not done after ${withinMs / 1000} s, at ${value}`)
    await delay(everyMs)
  }
}
