import { LRUCache } from 'lru-cache'
import { Stamps } from './stamps'
import type { RateWindow } from './window'

/** Of a limit, what one process lets through while it is alone. */
export const shareAlone = (limit: number): number => Math.ceil(limit / 2)

/** What this process knows of a key. */
interface Own {
  stamps: Stamps
  /** When the last of its attempts leaves the window. */
  endsAt: number
  /** Attempts of others, as the shared windows told last, and until when that is believed. */
  others: number
  othersUntil: number
}

/** Where an attempt stands in one window of this process. */
export interface Place {
  own: Own
  /** From 1 on, among those of this process. */
  place: number
}

export type OwnVerdict =
  { isTaken: true; at: number; places: Place[] } | { isTaken: false; full: number; retryAfterMs: number }

/**
 * Attempts that this process has counted itself. It remembers `keysMax` keys and forgets the one that was used longest
 * ago: whoever tries one key again and again is not forgotten.
 */
export class OwnWindows {
  readonly #keys: LRUCache<string, Own>
  /** Latest end of what was forgotten while it still counted. */
  #forgottenUntil = 0

  constructor(
    keysMax: number,
    private readonly now: () => number,
  ) {
    this.#keys = new LRUCache({
      max: keysMax,
      dispose: ({ endsAt }, _key, reason) => {
        if (reason === 'evict') this.#forgottenUntil = Math.max(this.#forgottenUntil, endsAt)
      },
    })
  }

  /** Keys that are remembered now. */
  get size(): number {
    return this.#keys.size
  }

  /** Counts an attempt in all windows, or in none when one is full. */
  take(windows: readonly RateWindow[]): OwnVerdict {
    const at = this.now()
    const found = windows.map(({ key, windowMs }) => {
      const own = this.#keys.get(key)
      own?.stamps.passUntil(at - windowMs)
      return own
    })
    for (const [full, { limit, windowMs }] of windows.entries()) {
      const stamps = found[full]?.stamps
      if (stamps && stamps.count >= limit)
        return { isTaken: false, full, retryAfterMs: stamps.at(stamps.count - limit)! + windowMs - at }
    }
    const places = windows.map(({ key, windowMs }, i) => {
      const own = found[i] ?? this.#begin(key)
      own.stamps.add(at)
      own.endsAt = at + windowMs
      return { own, place: own.stamps.count }
    })
    return { isTaken: true, at, places }
  }

  giveBack(keys: readonly string[], at: number): void {
    for (const key of keys) {
      const own = this.#keys.peek(key)
      own?.stamps.remove(at)
      if (own?.stamps.count === 0) this.#keys.delete(key)
    }
  }

  forget(keys: readonly string[]): void {
    for (const key of keys) this.#keys.delete(key)
  }

  /** The shared windows have told how many attempts there are, of all processes. */
  hear({ own }: Place, count: number, { windowMs }: RateWindow): void {
    own.others = Math.max(0, count - own.stamps.count)
    own.othersUntil = this.now() + windowMs
  }

  /**
   * Whether an attempt may pass while nobody else can be asked: it is within this process' share of the limit, and, with
   * those of others that were heard of last, within the limit. A key that was forgotten can not be told from a new one:
   * neither passes until what was forgotten would have ended.
   * @returns ms until it is worth another try; `undefined`: it may pass.
   */
  beyond({ own, place }: Place, { limit, windowMs }: RateWindow): number | undefined {
    const at = this.now()
    if (place === 1 && this.#forgottenUntil > at) return this.#forgottenUntil - at
    const others = own.othersUntil > at ? own.others : 0
    const room = Math.min(shareAlone(limit), limit - others)
    if (place <= room) return undefined
    // So many have to leave; when that is not by those of this process, by what is believed of others.
    const leaves = own.stamps.at(Math.max(0, place - 1 - room))
    return Math.max(1, (leaves ?? at) + windowMs - at)
  }

  #begin(key: string): Own {
    const own = { stamps: new Stamps(), endsAt: 0, others: 0, othersUntil: 0 }
    this.#keys.set(key, own)
    return own
  }
}
