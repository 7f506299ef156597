import { networkOf } from '@annals/platform/client-address'
import type { RateLimits } from '@annals/platform/rate-limit'
import type { Acquaintances, Visitor } from './acquaintances'
import { stranger, trustOf } from './trust'

/**
 * Bounds how often a password is guessed. Strangers have one count for an address, wherever their guesses come from. A network from
 * which the right password came before has a count of its own: a stranger who guesses does not keep the owner out, and does not learn
 * from the count whether there is an owner who logs in. It is the idea of device cookies, for networks.
 * @see https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
 */
export interface GuessThrottle {
  /** Counts a guess, before the password is looked at: guesses at the same time are counted like others. */
  attempt(guesser: Guesser): Promise<Guess>
}

export interface Guesser {
  /** Keyed hash of the address; the address itself is not stored. */
  addressHash: string
  /** Address of the client, canonical; IPv6 counts by /64. */
  client: string
  /** What the client says of its program; `null`: nothing. */
  device: string | null
}

export type Guess =
  | {
      isAllowed: true
      /** The password was right: the guess does not count, and its network is known from now on. */
      succeeded(): Promise<void>
      /** The password was wrong: its network is trusted less. */
      failed(): Promise<void>
      /** The password was not looked at, for a reason of ours: the guess does not count. */
      notJudged(): Promise<void>
    }
  | { isAllowed: false; retryAfterSeconds: number }

export interface GuessThrottleDeps {
  limits: Pick<RateLimits, 'attempt'>
  acquaintances: Acquaintances
  /** Redis was asked and did not answer. */
  onSilent: () => void
}

export function createGuessThrottle({ limits, acquaintances, onSilent }: GuessThrottleDeps): GuessThrottle {
  return {
    async attempt({ addressHash, client, device }) {
      const visitor: Visitor = { addressHash, network: networkOf(client), device: device ?? '' }
      const known = await acquaintances.of(visitor).catch(() => {
        onSilent()
        return stranger
      })
      const who = known.isKnownNetwork ? `${addressHash}@${visitor.network}` : addressHash
      const attempt = await limits.attempt('authentication', 'account', who, trustOf(known))
      if (!attempt.isAllowed) return attempt
      return {
        isAllowed: true,
        async succeeded() {
          // Of what strangers have tried nothing is forgotten: they would see by it that somebody has logged in.
          const forgotten = known.isKnownNetwork ? attempt.forget() : attempt.giveBack()
          await Promise.all([forgotten, acquaintances.remember(visitor).catch(onSilent)])
        },
        failed: () => acquaintances.hasFailed(visitor).catch(onSilent),
        notJudged: () => attempt.giveBack(),
      }
    },
  }
}
