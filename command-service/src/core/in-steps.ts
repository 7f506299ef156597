import { setTimeout as delay } from 'node:timers/promises'

/** To read what somebody has takes up to a millisecond longer than to read nothing; both end at the same step. */
const stepMs = 25

/** Work whose time tells nobody what it found: it ends at the next step after it is done, counted from its beginning. */
export async function inSteps<T>(work: Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const result = await work
  const elapsedMs = performance.now() - startedAt
  await delay(Math.ceil(elapsedMs / stepMs) * stepMs - elapsedMs)
  return result
}
