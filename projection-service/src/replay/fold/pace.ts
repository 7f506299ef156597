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
 * Large steps cost least: few enough events for the event loop, enough to open personal data in few queries. Ahead are some
 * 8 MB, which hides the time of a flush.
 */
const fast: Pace = { readSize: 500, readAhead: 8, foldSize: 1_000, flushEveryMs: 2_000, parallel: true }

/** Steps of a throttled pass in a second. */
const stepsPerSecond = 10

/**
 * A throttled pass is to be hardly felt by whoever is served meanwhile: small steps, evenly spread, because what comes at once
 * takes the machine for as long as it lasts, however seldom it comes.
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
