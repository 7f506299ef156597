import { randomBytes } from 'node:crypto'
import { OwnWindows, shareAlone, type Place } from './own-windows'
import type { SharedWindows, Standing } from './shared-windows'
import type { RateWindow } from './window'

/** Where an attempt stands in a window, for its answer to tell. */
export interface WindowStanding {
  remaining: number
  /** Until there is room for one more than remains; from 1 on. */
  resetSeconds: number
}

export type Attempt =
  | {
      isAllowed: true
      /** In the order of the windows. */
      standings: WindowStanding[]
      /** The attempt does not count. Never throws. */
      giveBack(): Promise<void>
      /** Neither this attempt nor those before it count, in none of its windows. Never throws. */
      forget(): Promise<void>
    }
  | {
      isAllowed: false
      /** Index of the first window without room. */
      full: number
      /** From 1 on. */
      retryAfterSeconds: number
    }

/** An attempt that this process has room for. It holds its place here until it is decided. */
export interface Entered {
  /** Decides. `more`: windows that were not known before. Never throws. */
  decide(more?: readonly RateWindow[]): Promise<Attempt>
}

/**
 * Bounds how often something is tried, in several windows at once: an attempt is counted in all of them, or refused by
 * the first that is full and counted in none. A count of this process stands in front of one that all processes share.
 * The own count refuses by itself, and needs nobody. While the shared one does not answer, this process lets half of
 * each limit through: two of them as many as both together before.
 */
export interface RateLimit {
  /**
   * The first half of an attempt, at once: for windows that are known before it is known who asks. What is refused here
   * is told to nobody else.
   */
  enter(windows: readonly RateWindow[]): Entered | (Attempt & { isAllowed: false })
  /** Both halves. Never throws. */
  attempt(windows: readonly RateWindow[]): Promise<Attempt>
  /** Keys that this process remembers now. */
  readonly size: number
}

export interface RateLimitOptions {
  shared: SharedWindows
  /**
   * Keys that are remembered here; default 50,000. One takes 300 bytes and 8 for each attempt in its window: 50 MB when
   * each has 100.
   */
  keysMax?: number
  /** The shared windows did not answer. */
  onSilent: () => void
  /** Ms of a clock that is never set; for tests. */
  now?: () => number
}

const secondsOf = (ms: number): number => Math.max(1, Math.ceil(ms / 1000))
const refused = (full: number, retryAfterMs: number) => ({
  isAllowed: false as const,
  full,
  retryAfterSeconds: secondsOf(retryAfterMs),
})

export function createRateLimit({
  shared,
  keysMax = 50_000,
  onSilent,
  now = () => performance.now(),
}: RateLimitOptions): RateLimit {
  const own = new OwnWindows(keysMax, now)
  /** Attempts of one process do not share a name with those of another, nor with those before a restart. */
  const run = randomBytes(9).toString('base64url')
  let attempts = 0

  /** @returns `undefined` when there was no answer. */
  const heard = <T>(work: Promise<T>): Promise<T | undefined> =>
    work.catch(() => {
      onSilent()
      return undefined
    })

  /** Taken windows of one attempt: `parts` have the time at which each group of them was counted here. */
  interface Taken {
    windows: readonly RateWindow[]
    places: Place[]
    parts: { keys: string[]; at: number }[]
  }
  /** Once: a second time there is nothing left to release. */
  const release = ({ parts }: Taken) => parts.splice(0).forEach(({ keys, at }) => own.giveBack(keys, at))

  function allowed(id: string, taken: Taken, standings: WindowStanding[]): Attempt {
    const keys = taken.windows.map(({ key }) => key)
    return {
      isAllowed: true,
      standings,
      async giveBack() {
        release(taken)
        await heard(shared.giveBack(id, keys))
      },
      async forget() {
        own.forget(keys)
        await heard(shared.forget(keys))
      },
    }
  }

  const standingOf = ({ limit }: RateWindow, { count, oldestLeavesInMs }: Standing): WindowStanding => ({
    remaining: Math.max(0, limit - count),
    resetSeconds: secondsOf(oldestLeavesInMs),
  })

  /** The verdict of this process alone. The attempt may have been counted by the others. */
  function decideAlone(id: string, taken: Taken): Attempt {
    const standings: WindowStanding[] = []
    for (const [i, window] of taken.windows.entries()) {
      const place = taken.places[i]!
      const beyondMs = own.beyond(place, window)
      if (beyondMs !== undefined) {
        release(taken)
        return refused(i, beyondMs)
      }
      standings.push({
        remaining: Math.max(0, shareAlone(window.limit) - place.place),
        resetSeconds: secondsOf(window.windowMs),
      })
    }
    return allowed(id, taken, standings)
  }

  async function decide(taken: Taken): Promise<Attempt> {
    const { windows, places } = taken
    if (windows.length === 0) return { isAllowed: true, standings: [], async giveBack() {}, async forget() {} }
    const id = `${run}${(attempts++).toString(36)}`
    const verdict = await heard(shared.take(id, windows))
    if (!verdict) return decideAlone(id, taken)
    if (!verdict.isTaken) {
      release(taken)
      return refused(verdict.full, verdict.retryAfterMs)
    }
    windows.forEach((window, i) => own.hear(places[i]!, verdict.standings[i]!.count, window))
    return allowed(
      id,
      taken,
      windows.map((window, i) => standingOf(window, verdict.standings[i]!)),
    )
  }

  const partOf = (windows: readonly RateWindow[], at: number) => ({ keys: windows.map(({ key }) => key), at })

  function enter(windows: readonly RateWindow[]): ReturnType<RateLimit['enter']> {
    const first = own.take(windows)
    if (!first.isTaken) return refused(first.full, first.retryAfterMs)
    const taken = { windows, places: first.places, parts: [partOf(windows, first.at)] }
    return {
      async decide(more = []) {
        if (more.length === 0) return decide(taken)
        const second = own.take(more)
        if (!second.isTaken) {
          release(taken)
          return refused(windows.length + second.full, second.retryAfterMs)
        }
        return decide({
          windows: [...windows, ...more],
          places: [...taken.places, ...second.places],
          parts: [...taken.parts, partOf(more, second.at)],
        })
      },
    }
  }

  return {
    enter,
    async attempt(windows) {
      const entered = enter(windows)
      return 'decide' in entered ? entered.decide() : entered
    },
    get size() {
      return own.size
    },
  }
}
