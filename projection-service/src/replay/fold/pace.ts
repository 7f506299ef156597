/** How large the steps are in which the log is read, folded and written. */
export interface Pace {
  /** Events handed over at once by the thread that reads. */
  readSize: number
  /** So many of those that thread may be ahead. */
  readAhead: number
  /** Events decoded and folded at once. */
  foldSize: number
  /** What is folded is written at least this often, in ms, so that no kill costs more work than that. */
  flushEveryMs: number
  /** Whether PostgreSQL may give a statement of ours more than one process. */
  parallel: boolean
}

/**
 * Enough events to open personal data in few queries. More would cost more than they save: what a step has read and decoded is alive
 * until its end, and each collection of the young generation copies it. Ahead are some 8 MB, which hides the time of a flush.
 */
const fast: Pace = { readSize: 250, readAhead: 16, foldSize: 250, flushEveryMs: 2_000, parallel: true }

/** Steps of a throttled pass in a second. */
const stepsPerSecond = 10

/**
 * A throttled pass must hardly affect requests that are served meanwhile. So it takes small steps, evenly spread: a
 * large step takes the whole machine for its duration, however rare it is.
 * @param throttle events per second at most; `undefined`: as fast as it goes.
 */
export function paceOf(throttle: number | undefined): Pace {
  if (throttle === undefined) return fast
  const size = Math.ceil(throttle / stepsPerSecond)
  return {
    readSize: Math.min(size, fast.readSize),
    readAhead: 2,
    foldSize: Math.min(size, fast.foldSize),
    flushEveryMs: 1_000,
    parallel: false,
  }
}

/**
 * Bounds the rate of a throttled pass. What a stall cost (a start, a server that was away) is not made up for: only the share of
 * one step may be, or timers that come late would lower the rate.
 * @param throttle events per second at most; `undefined`: no bound.
 * @param now in ms, as the clock of the pass tells it.
 * @returns called after every step with how many events it had: how long to wait before the next one, in ms.
 */
export function createThrottle(throttle: number | undefined, now: () => number): (events: number) => number {
  if (throttle === undefined) return () => 0
  let due = now()
  let begun = due
  return (events) => {
    const shareMs = (events / throttle) * 1_000
    due = Math.max(due, begun - shareMs) + shareMs
    const waitMs = Math.max(0, due - now())
    begun = now() + waitMs
    return waitMs
  }
}
