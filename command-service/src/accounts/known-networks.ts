import { createHash } from 'node:crypto'
import type { Redis } from '@annals/platform/redis'

/** Networks from which the right password of an address came before. */
export interface KnownNetworks {
  /** @throws when Redis does not answer. */
  has(addressHash: string, network: string): Promise<boolean>
  /** @throws when Redis does not answer. */
  add(addressHash: string, network: string): Promise<void>
}

/** From the last login on. */
const rememberedSeconds = 30 * 24 * 60 * 60

/** One digest for both: nobody can tell from Redis which networks somebody uses. */
const keyOf = (addressHash: string, network: string): string =>
  `login:known:${createHash('sha256').update(`${addressHash} ${network}`).digest('base64url')}`

export function createKnownNetworks(redis: Redis): KnownNetworks {
  return {
    has: async (addressHash, network) => (await redis.exists(keyOf(addressHash, network))) === 1,
    async add(addressHash, network) {
      await redis.set(keyOf(addressHash, network), '1', 'EX', rememberedSeconds)
    },
  }
}
