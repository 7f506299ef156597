import bcrypt from 'bcrypt'
import { canonicalPassword, passwordFault } from '@annals/contracts'
import { Overloaded } from '../core/faults'

/** bcrypt beside the event loop, so much at a time as the machine bears. */
export interface Passwords {
  /** @throws Overloaded before any work is done. Ask before something is written that the hash is needed for. */
  admit(): void
  /** @param password canonical. @throws Overloaded when too many wait. */
  hash(password: string): Promise<string>
  /**
   * Compares with a hash, or, when there is none, with one that no password has: both take as long. A password that no account can
   * have matches nothing: bcrypt would cut it, or take half of a surrogate pair for U+FFFD. One in another form than NFC is tried
   * as it was typed as well, since it was kept so before passwords had one form.
   * @throws Overloaded when too many wait.
   */
  matches(password: string, hash: string | null | undefined): Promise<boolean>
  /** Running and waiting. */
  readonly load: number
}

export interface PasswordOptions {
  /** log2 of the rounds: each step doubles the time, 12 is about 0.25 s of one core. */
  cost: number
  /**
   * Jobs at a time. They run on libuv's pool (UV_THREADPOOL_SIZE, 4 by default), which signatures, name look-ups and files
   * use too: at least two of its threads have to stay free, or everything waits behind passwords.
   */
  concurrency: number
  /** Jobs that may wait; with cost 12 and two cores, 32 wait for 4 s at most. */
  queueMax: number
}

export function createPasswords({ cost, concurrency, queueMax }: PasswordOptions): Passwords {
  const waiting: (() => void)[] = []
  let running = 0
  // A hash of the configured cost whose 31 digest characters belong to no known password.
  const nobodys = `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`

  /** About as long as the queue lasts: 4 jobs a second and core at cost 12. */
  const retryAfterSeconds = () => Math.max(1, Math.ceil((waiting.length / concurrency) * 0.25 * 2 ** (cost - 12)))

  function admit() {
    if (running >= concurrency && waiting.length >= queueMax) throw new Overloaded('passwords', retryAfterSeconds())
  }

  async function inTurn<T>(job: () => Promise<T>): Promise<T> {
    admit()
    if (running >= concurrency) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await job()
    } finally {
      // The place is handed on: nobody can come between.
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }

  return {
    admit,
    hash: (password) => inTurn(() => bcrypt.hash(password, cost)),
    matches: async (password, hash) => {
      const canonical = canonicalPassword(password)
      const compare = async (text: string) => {
        const usable = hash !== null && hash !== undefined && passwordFault(text) === undefined
        const same = await inTurn(() => bcrypt.compare(text, usable ? hash : nobodys))
        return same && usable
      }
      return (await compare(canonical)) || (canonical !== password && (await compare(password)))
    },
    get load() {
      return running + waiting.length
    },
  }
}
