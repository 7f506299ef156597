import type { Redis } from '../redis'

/** Counts attempts for all processes together. */
export interface SharedCounter {
  /**
   * Counts one attempt in the window that the first one opened.
   * @returns attempts in that window, this one included, and the seconds until it ends.
   * @throws when it does not answer in time, or takes nothing: then nobody knows whether the attempt was counted.
   */
  add(key: string, windowSeconds: number): Promise<{ attempts: number; endsInSeconds: number }>
  /** One attempt less, never below none. @throws as `add` does. */
  subtract(key: string): Promise<void>
  /** No attempt is remembered. @throws as `add` does. */
  clear(key: string): Promise<void>
}

/** A counter that ran out meanwhile must not come back below none: it would let attempts through that nobody counts. */
const subtractScript = `
if tonumber(redis.call('get', KEYS[1]) or '0') > 0 then return redis.call('decr', KEYS[1]) end
return 0`

/** Counters in Redis; its client gives a question up after `redisDeadlines.commandMs`. */
export function createRedisCounter(redis: Redis): SharedCounter {
  return {
    async add(key, windowSeconds) {
      const results = await redis.multi().incr(key).expire(key, windowSeconds, 'NX').ttl(key).exec()
      const [attempts, , endsInSeconds] = (results ?? []).map(([error, value]) => {
        // A server without memory refuses to count, and answers all the same.
        if (error) throw error
        return Number(value)
      })
      if (!attempts || endsInSeconds === undefined) throw new Error('Redis did not count')
      return { attempts, endsInSeconds }
    },
    async subtract(key) {
      await redis.eval(subtractScript, 1, key)
    },
    async clear(key) {
      await redis.del(key)
    },
  }
}
