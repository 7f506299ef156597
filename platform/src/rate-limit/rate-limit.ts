import type { SharedCounter } from './shared-counter'

/** So many attempts within a window, which the first of them opens. */
export interface RateLimitPolicy {
  attemptsMax: number
  windowSeconds: number
}

export type Attempt =
  | {
      isAllowed: true
      /** The attempt does not count. Never throws. */
      giveBack(): Promise<void>
      /** Neither this attempt nor those before it count. Never throws. */
      forget(): Promise<void>
    }
  | {
      isAllowed: false
      /** From 1 on. */
      retryAfterSeconds: number
    }

/**
 * Bounds how often something is tried, per key. A count in the process stands in front of one that all processes share.
 * The own count decides first, and needs nobody: whatever the shared one does, a process lets no more than
 * `attemptsMax` through in a window. So the bound is `attemptsMax` while the shared counter answers, and `attemptsMax`
 * for each process while it does not.
 */
export interface RateLimit {
  /**
   * Counts an attempt, before what it asks for is done: those at the same time are counted like others. What is refused
   * by the own count is not told to the shared one. Never throws: without an answer in time the verdict is the stricter
   * of what this process has counted and what it was told last.
   */
  attempt(key: string): Promise<Attempt>
  /** Keys that the process remembers now. */
  readonly size: number
}

export interface RateLimitOptions {
  policy: RateLimitPolicy
  shared: SharedCounter
  /** Goes before each key in the shared counter, such as `login:address:`. */
  prefix: string
  /**
   * Keys that are remembered; default 100,000, some 20 MB. When so many have an open window, others are refused until
   * one ends: to forget a key would let it be tried again. Choose more than can be tried in a window.
   */
  keysMax?: number
  /** The shared counter did not answer. */
  onSilent: () => void
  /** Epoch ms; for tests. */
  now?: () => number
}

/** What this process knows of a key. */
interface Count {
  own: number
  /** Own attempts that the shared counter has not confirmed: it has not been asked yet, or did not answer. */
  unconfirmed: number
  /** What the shared counter said last, and when that window ends (epoch ms). */
  shared: { attempts: number; endsAt: number } | undefined
  /** When the own window ends, epoch ms. */
  endsAt: number
}

export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { policy, shared, prefix, keysMax = 100_000, onSilent, now = Date.now } = options
  const { attemptsMax, windowSeconds } = policy
  /** In the order in which windows were opened, which is that in which they end. */
  const counts = new Map<string, Count>()

  const secondsUntil = (endsAt: number) => Math.max(1, Math.ceil((endsAt - now()) / 1000))
  const refusedUntil = (endsAt: number): Attempt => ({ isAllowed: false, retryAfterSeconds: secondsUntil(endsAt) })

  /** @returns the key's count, or when there is room for it (epoch ms). */
  function countOf(key: string): Count | number {
    for (const [ended, { endsAt }] of counts) {
      if (endsAt > now()) break
      counts.delete(ended)
    }
    const present = counts.get(key)
    if (present) return present
    if (counts.size >= keysMax) return counts.values().next().value!.endsAt
    const count = { own: 0, unconfirmed: 0, shared: undefined, endsAt: now() + windowSeconds * 1000 }
    counts.set(key, count)
    return count
  }

  function release(key: string, count: Count): void {
    if (counts.get(key) === count && count.own <= 0) counts.delete(key)
  }

  async function tell(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch {
      onSilent()
    }
  }

  const allowed = (key: string, count: Count, isConfirmed: boolean): Attempt => ({
    isAllowed: true,
    async giveBack() {
      count.own--
      if (isConfirmed && count.shared) count.shared.attempts--
      else count.unconfirmed--
      release(key, count)
      // Taken back there only if it was counted there.
      if (isConfirmed) await tell(() => shared.subtract(prefix + key))
    },
    async forget() {
      if (counts.get(key) === count) counts.delete(key)
      await tell(() => shared.clear(prefix + key))
    },
  })

  return {
    async attempt(key) {
      const count = countOf(key)
      if (typeof count === 'number') return refusedUntil(count)
      if (count.own >= attemptsMax) return refusedUntil(count.endsAt)
      count.own++
      count.unconfirmed++
      const place = count.unconfirmed
      try {
        const { attempts, endsInSeconds } = await shared.add(prefix + key, windowSeconds)
        count.unconfirmed--
        count.shared = { attempts, endsAt: now() + endsInSeconds * 1000 }
        return attempts > attemptsMax ? refusedUntil(count.shared.endsAt) : allowed(key, count, true)
      } catch {
        onSilent()
        // It may have been counted there, so it goes on to count as one that the last word does not hold.
        const { attempts, endsAt } =
          count.shared && count.shared.endsAt > now() ? count.shared : { attempts: 0, endsAt: 0 }
        return attempts + place > attemptsMax ? refusedUntil(endsAt || count.endsAt) : allowed(key, count, false)
      }
    },
    get size() {
      return counts.size
    },
  }
}
