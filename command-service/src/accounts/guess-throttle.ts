import { networkOf } from '@annals/platform/client-address'
import { createRateLimit, type RateLimitPolicy, type SharedCounter } from '@annals/platform/rate-limit'

/**
 * Bounds how often a password is guessed: for an address, wherever the guesses come from, and by a client, whatever it
 * tries.
 */
export interface GuessThrottle {
  /**
   * Counts a guess, before the password is looked at: guesses at the same time are counted like others.
   * @param addressHash keyed hash of the address; the address itself is not stored.
   * @param client address of the client, canonical; IPv6 counts by /64.
   */
  attempt(addressHash: string, client: string): Promise<Guess>
}

export type Guess =
  | {
      isAllowed: true
      /** The password was right: the guess does not count, and those before it at this address are forgotten. */
      succeeded(): Promise<void>
      /** The password was not looked at, for a reason of ours: the guess does not count. */
      notJudged(): Promise<void>
    }
  | { isAllowed: false; retryAfterSeconds: number }

export interface GuessThrottleDeps {
  shared: SharedCounter
  perAddress: RateLimitPolicy
  perClient: RateLimitPolicy
  /** Redis was asked and did not answer. */
  onSilent: () => void
}

export function createGuessThrottle({ shared, perAddress, perClient, onSilent }: GuessThrottleDeps): GuessThrottle {
  const addresses = createRateLimit({ policy: perAddress, shared, prefix: 'login:address:', onSilent })
  const clients = createRateLimit({ policy: perClient, shared, prefix: 'login:ip:', onSilent })

  return {
    async attempt(addressHash, client) {
      // The client first: one that is refused must not fill the memory with addresses.
      const ofClient = await clients.attempt(networkOf(client))
      if (!ofClient.isAllowed) return ofClient
      const ofAddress = await addresses.attempt(addressHash)
      if (!ofAddress.isAllowed) return ofAddress
      return {
        isAllowed: true,
        async succeeded() {
          await Promise.all([ofClient.giveBack(), ofAddress.forget()])
        },
        async notJudged() {
          await Promise.all([ofClient.giveBack(), ofAddress.giveBack()])
        },
      }
    },
  }
}
