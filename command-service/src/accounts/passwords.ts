import bcrypt from 'bcrypt'
import { canonicalPassword, passwordFault } from '@annals/contracts'
import { createHashQueue, type HashPlace } from './hash-queue'
import { isReadWhole, parseHash, preHash, writeHash, type Peppers, type StoredHash } from './password-forms'

/** Hashes of new passwords: bcrypt beside the event loop, so much at a time as the machine bears. */
export interface PasswordHasher {
  /** @throws Overloaded before any work is done. Ask before something is written that the hash is needed for. */
  admit(place: HashPlace): void
  /** @param password canonical. @returns form v2. @throws Overloaded when too many wait. */
  hash(password: string, place: HashPlace): Promise<string>
  /** Whether a hash is of another form, key or cost than those that are made now. */
  isOutdated(hash: string): boolean
  /** Refuses what waits to be hashed anew. */
  dismissRehashes(): void
}

/** For `createPasswordCheck` alone, which counts what is compared here. */
export interface PasswordComparison {
  /**
   * Compares with a hash of any form, or, when there is none, with one that no password has. Every comparison takes as long as
   * one of the highest cost, whatever form and cost the hash has, and whether its key is known or not. A password that no account
   * can have matches nothing. One in another form than NFC takes twice as long: in form v1 it may have been kept as it was typed.
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
  peppers: Peppers
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
  /** A hash names a key that PASSWORD_PEPPER does not hold: its password is refused like a wrong one. */
  onUnknownKey?: (keyId: string) => void
}

/** A hash of some cost whose 31 digest characters belong to no known password. */
const nobodysHash = (cost: number) => `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`

export function createPasswords(options: PasswordOptions): Passwords {
  const { cost, peppers, concurrency, queueMax, onUnknownKey = () => undefined } = options
  const queue = createHashQueue({ concurrency, queueMax, jobSeconds: 0.25 * 2 ** (cost - 12) })
  /** The highest cost that was ever configured, as far as this process has met its hashes. */
  let highestCost = cost

  /**
   * Costs of the comparisons with nobody's hash that follow one of `spent`, so that all together take as long as one of
   * the highest cost: 2^10 + 2^10 + 2^11 = 2^12.
   */
  const rest = (spent: number) => Array.from({ length: highestCost - spent }, (_, i) => spent + i)

  /** @param text what bcrypt is given; `undefined`: nothing that could match, after as much work. */
  async function compare(text: string | undefined, stored: StoredHash | undefined): Promise<boolean> {
    const isPossible = text !== undefined && stored !== undefined
    const against = isPossible ? stored : { cost: highestCost, bcrypt: nobodysHash(highestCost) }
    const same = await bcrypt.compare(text ?? '', against.bcrypt)
    for (const more of rest(against.cost)) await bcrypt.compare(text ?? '', nobodysHash(more))
    return same && isPossible
  }

  /** What bcrypt is given for a password, so that it can match this hash. The keyed hash is always made. */
  function textFor(password: string, stored: StoredHash | undefined): string | undefined {
    const pepper = stored?.keyId === undefined ? undefined : peppers.of(stored.keyId)
    const keyed = preHash(pepper ?? peppers.current, password)
    if (stored?.keyId === undefined) return isReadWhole(password) ? password : undefined
    if (!pepper) onUnknownKey(stored.keyId)
    return pepper && passwordFault(password) === undefined ? keyed : undefined
  }

  return {
    admit: queue.admit,
    hash: (password, place) =>
      queue.inTurn(place, async () => {
        const { current } = peppers
        return writeHash(current.id, await bcrypt.hash(preHash(current, password), cost))
      }),
    isOutdated(hash) {
      const stored = parseHash(hash)
      return stored?.keyId !== peppers.current.id || stored.cost !== cost
    },
    dismissRehashes: () => queue.dismiss('rehash'),
    matches: (password, hash, place, onStart) =>
      // Both forms in one turn: what was judged once can not be refused for want of a place afterwards.
      queue.inTurn(place, async () => {
        onStart?.()
        const stored = typeof hash === 'string' ? parseHash(hash) : undefined
        if (stored) highestCost = Math.max(highestCost, stored.cost)
        const canonical = canonicalPassword(password)
        if (await compare(textFor(canonical, stored), stored)) return true
        if (canonical === password) return false
        const isKeptAsTyped = stored !== undefined && stored.keyId === undefined && isReadWhole(password)
        return compare(isKeptAsTyped ? password : undefined, stored)
      }),
    get load() {
      return queue.load
    },
  }
}
