import type { Redis } from '@annals/platform/redis'

/** Attempts within a window, counted from the first one. */
export interface ThrottlePolicy {
  attemptsMax: number
  windowSeconds: number
}

export interface LoginThrottle {
  /**
   * Counts an attempt, before the password is looked at: parallel guesses are counted like others.
   * @param addressHash keyed hash of the address; the address itself is not stored.
   * @returns seconds to wait, or `undefined` when the attempt may go on.
   */
  attempt(addressHash: string, ip: string): Promise<number | undefined>
  /** The password was right: the attempt does not count, and those before it at this address are forgotten. */
  succeeded(addressHash: string, ip: string): Promise<void>
  /** The password was not looked at, for a reason of ours: the attempt does not count. */
  notJudged(addressHash: string, ip: string): Promise<void>
}

export interface LoginThrottleDeps {
  redis: Redis
  perAddress: ThrottlePolicy
  perIp: ThrottlePolicy
  /** Redis was asked and did not answer. */
  onSkipped: () => void
}

/** Counts in Redis, for all processes together. While Redis does not answer, attempts are let through: bcrypt slows them still. */
export function createLoginThrottle({ redis, perAddress, perIp, onSkipped }: LoginThrottleDeps): LoginThrottle {
  const counters = (addressHash: string, ip: string) => [
    { key: `login:address:${addressHash}`, ...perAddress },
    { key: `login:ip:${ip}`, ...perIp },
  ]

  /** A counter that ran out meanwhile would come back as -1, for ever: it gets an end with its first use again. */
  async function change(addressHash: string, ip: string, atAddress: 'del' | 'decr'): Promise<void> {
    try {
      const [address, origin] = counters(addressHash, ip)
      const changes = redis.multi().decr(origin!.key).expire(origin!.key, origin!.windowSeconds, 'NX')
      if (atAddress === 'del') changes.del(address!.key)
      else changes.decr(address!.key).expire(address!.key, address!.windowSeconds, 'NX')
      await changes.exec()
    } catch {
      onSkipped()
    }
  }

  return {
    async attempt(addressHash, ip) {
      try {
        const waits = await Promise.all(
          counters(addressHash, ip).map(async ({ key, attemptsMax, windowSeconds }) => {
            const results = await redis.multi().incr(key).expire(key, windowSeconds, 'NX').ttl(key).exec()
            const [count, , ttl] = (results ?? []).map(([, value]) => Number(value))
            return count !== undefined && count > attemptsMax ? Math.max(1, ttl ?? windowSeconds) : 0
          }),
        )
        return Math.max(...waits) || undefined
      } catch {
        onSkipped()
        return undefined
      }
    },

    succeeded: (addressHash, ip) => change(addressHash, ip, 'del'),
    notJudged: (addressHash, ip) => change(addressHash, ip, 'decr'),
  }
}
