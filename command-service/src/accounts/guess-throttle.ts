import { networkOf } from '@annals/platform/client-address'
import { createRateLimit, type Attempt, type RateLimitPolicy, type SharedCounter } from '@annals/platform/rate-limit'
import type { KnownNetworks } from './known-networks'

/**
 * Bounds how often a password is guessed: for an address, wherever the guesses come from, and by a client, whatever it
 * tries. A network from which the right password came before has guesses of its own when those of the address are used
 * up: a stranger who guesses can not keep the owner out. It is the idea of device cookies, for networks.
 * @see https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
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
      /** The password was right: the guess does not count, those of its count before it are forgotten, its network is known. */
      succeeded(): Promise<void>
      /** The password was not looked at, for a reason of ours: the guess does not count. */
      notJudged(): Promise<void>
    }
  | { isAllowed: false; retryAfterSeconds: number }

export interface GuessThrottleDeps {
  shared: SharedCounter
  /** For an address from everywhere, and once more for it from each network that is known. */
  perAddress: RateLimitPolicy
  knownNetworks: KnownNetworks
  perClient: RateLimitPolicy
  /** Redis was asked and did not answer. */
  onSilent: () => void
}

export function createGuessThrottle(deps: GuessThrottleDeps): GuessThrottle {
  const { shared, perAddress, perClient, knownNetworks, onSilent } = deps
  const addresses = createRateLimit({ policy: perAddress, shared, prefix: 'login:address:', onSilent })
  const addressesAtHome = createRateLimit({ policy: perAddress, shared, prefix: 'login:address-network:', onSilent })
  const clients = createRateLimit({ policy: perClient, shared, prefix: 'login:ip:', onSilent })

  async function attemptAt(addressHash: string, network: string): Promise<Attempt> {
    const ofAddress = await addresses.attempt(addressHash)
    if (ofAddress.isAllowed) return ofAddress
    const isKnown = await knownNetworks.has(addressHash, network).catch(() => {
      onSilent()
      return false
    })
    return isKnown ? addressesAtHome.attempt(`${addressHash}:${network}`) : ofAddress
  }

  return {
    async attempt(addressHash, client) {
      const network = networkOf(client)
      // The client first: one that is refused must not fill the memory with addresses.
      const ofClient = await clients.attempt(network)
      if (!ofClient.isAllowed) return ofClient
      const ofAddress = await attemptAt(addressHash, network)
      if (!ofAddress.isAllowed) return ofAddress
      return {
        isAllowed: true,
        async succeeded() {
          const remembered = knownNetworks.add(addressHash, network).catch(onSilent)
          await Promise.all([ofClient.giveBack(), ofAddress.forget(), remembered])
        },
        async notJudged() {
          await Promise.all([ofClient.giveBack(), ofAddress.giveBack()])
        },
      }
    },
  }
}
