export interface Rate {
  perSecond: number
  /** Infinity while nothing is known. */
  etaS: number
}

/** The rate is that of the last seconds: what was long ago says little of what comes. */
const windowMs = 5_000
/** Between samples: at 1,000 chunks a second some 25 are kept, not 5,000. */
const sampleEveryMs = 200

/**
 * Rate over the last few seconds and time left, from samples of what has been done.
 * @returns a function of the events done so far and the fraction done of the whole, 0..1.
 */
export function createRate(now: () => number): (events: number, fraction: number) => Rate {
  const began = now()
  let firstFraction: number | undefined
  const samples: { at: number; events: number }[] = []
  return (events, fraction) => {
    const at = now()
    firstFraction ??= fraction
    if (samples.length === 0 || at - samples.at(-1)!.at >= sampleEveryMs) samples.push({ at, events })
    while (samples.length > 2 && at - samples[0]!.at > windowMs) samples.shift()
    const first = samples[0]!
    const perSecond = at > first.at ? ((events - first.events) / (at - first.at)) * 1000 : 0
    const done = fraction - firstFraction
    const etaS = done > 0 ? (((at - began) / 1000) * (1 - fraction)) / done : Number.POSITIVE_INFINITY
    return { perSecond, etaS }
  }
}
