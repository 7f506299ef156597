import bcrypt from 'bcrypt'
import { canonicalPassword, passwordFault } from '@annals/contracts'
import { createHashQueue, type HashPlace } from './hash-queue'

/** Hashes of new passwords: bcrypt beside the event loop, so much at a time as the machine bears. */
export interface PasswordHasher {
  /** @throws Overloaded before any work is done. Ask before something is written that the hash is needed for. */
  admit(place: HashPlace): void
  /** @param password canonical. @throws Overloaded when too many wait. */
  hash(password: string, place: HashPlace): Promise<string>
}

/** For `createPasswordCheck` alone, which counts what is compared here. */
export interface PasswordComparison {
  /**
   * Compares with a hash, or, when there is none, with one that no password has. Every comparison takes as long as one
   * of the highest cost, whatever the cost of the hash is. A password that no account can have matches nothing: bcrypt
   * would cut it, or take half of a surrogate pair for U+FFFD. One in another form than NFC is tried as it was typed as
   * well, since it was kept so before passwords had one form.
   * @param onStart called when the comparison begins.
   * @throws Overloaded when too many wait: the comparison has not begun then.
   */
  matches(password: string, hash: string | null | undefined, place: HashPlace, onStart?: () => void): Promise<boolean>
}

export interface Passwords extends PasswordHasher, PasswordComparison {
  /** Running and waiting. */
  readonly load: number
}

export interface PasswordOptions {
  /** log2 of the rounds: each step doubles the time, 12 is about 0.25 s of one core. */
  cost: number
  /**
   * Jobs at a time. They run on libuv's pool (UV_THREADPOOL_SIZE, 4 by default), which signatures, name look-ups and
   * files use too: at least two of its threads have to stay free, or everything waits behind passwords.
   */
  concurrency: number
  /**
   * Jobs of a purpose that may wait; with cost 12 and two cores, 32 wait for 4 s at most, or 8 s while the other
   * purpose has as many.
   */
  queueMax: number
}

/** A hash of some cost whose 31 digest characters belong to no known password. */
const nobodysHash = (cost: number) => `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`
/** @returns `undefined` for what is no hash of bcrypt's; it matches nothing. */
const costOf = (hash: string) => {
  const [, cost] = /^\$2[aby]\$(\d\d)\$/.exec(hash) ?? []
  return cost === undefined ? undefined : Number(cost)
}

export function createPasswords({ cost, concurrency, queueMax }: PasswordOptions): Passwords {
  const queue = createHashQueue({ concurrency, queueMax, jobSeconds: 0.25 * 2 ** (cost - 12) })
  /** The highest cost that was ever configured, as far as this process has met its hashes. */
  let highestCost = cost

  /**
   * Costs of the comparisons with nobody's hash that follow one of `spent`, so that all together take as long as one of
   * the highest cost: 2^10 + 2^10 + 2^11 = 2^12.
   */
  const rest = (spent: number) => Array.from({ length: highestCost - spent }, (_, i) => spent + i)

  async function compare(text: string, hash: string | null | undefined): Promise<boolean> {
    const isUsable = typeof hash === 'string' && costOf(hash) !== undefined && passwordFault(text) === undefined
    if (isUsable) highestCost = Math.max(highestCost, costOf(hash)!)
    const against = isUsable ? hash : nobodysHash(highestCost)
    const same = await bcrypt.compare(text, against)
    for (const more of rest(costOf(against)!)) await bcrypt.compare(text, nobodysHash(more))
    return same && isUsable
  }

  return {
    admit: queue.admit,
    hash: (password, place) => queue.inTurn(place, () => bcrypt.hash(password, cost)),
    matches: (password, hash, place, onStart) =>
      // Both forms in one turn: what was judged once can not be refused for want of a place afterwards.
      queue.inTurn(place, async () => {
        onStart?.()
        const canonical = canonicalPassword(password)
        return (await compare(canonical, hash)) || (canonical !== password && (await compare(password, hash)))
      }),
    get load() {
      return queue.load
    },
  }
}
