import { createHash } from 'node:crypto'
import type { Redis } from '@annals/platform/redis'
import type { Acquaintance } from './trust'

/** Whoever tries a password of an address. */
export interface Visitor {
  /** Keyed hash of the address. */
  addressHash: string
  /** IPv4 address, or /64 of IPv6. */
  network: string
  /** What the client says of its program. */
  device: string
}

/** From where the right password of an address came before, and from where wrong ones come. */
export interface Acquaintances {
  /** @throws when Redis does not answer. */
  of(visitor: Visitor): Promise<Acquaintance>
  /** Its password was right. @throws when Redis does not answer. */
  remember(visitor: Visitor): Promise<void>
  /** Its password was wrong. @throws when Redis does not answer. */
  hasFailed(visitor: Pick<Visitor, 'network'>): Promise<void>
}

/** From the last login on. */
const rememberedSeconds = 30 * 24 * 60 * 60
/** From the first of them on. */
const failuresSeconds = 60 * 60

/** One digest for all: nobody can tell from Redis which networks or programs somebody uses. */
const digest = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
const networkKey = ({ addressHash, network }: Visitor) => `trust:network:${digest(addressHash, network)}`
const deviceKey = ({ addressHash, network, device }: Visitor) => `trust:device:${digest(addressHash, network, device)}`
const failuresKey = ({ network }: Pick<Visitor, 'network'>) => `trust:failures:${network}`

export function createAcquaintances(redis: Redis): Acquaintances {
  async function executed(answer: Promise<[Error | null, unknown][] | null>): Promise<unknown[]> {
    return ((await answer) ?? []).map(([error, value]) => {
      if (error) throw error
      return value
    })
  }
  return {
    async of(visitor) {
      const [network, device, failures] = await executed(
        redis.multi().exists(networkKey(visitor)).exists(deviceKey(visitor)).get(failuresKey(visitor)).exec(),
      )
      return { isKnownNetwork: network === 1, isKnownDevice: device === 1, recentFailures: Number(failures ?? 0) }
    },
    async remember(visitor) {
      const batch = redis.multi()
      for (const key of [networkKey(visitor), deviceKey(visitor)]) batch.set(key, '1', 'EX', rememberedSeconds)
      await executed(batch.exec())
    },
    async hasFailed(visitor) {
      const key = failuresKey(visitor)
      await executed(redis.multi().incr(key).expire(key, failuresSeconds, 'NX').exec())
    },
  }
}
