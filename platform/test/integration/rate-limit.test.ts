import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createLogger } from '@annals/platform/log'
import { createRateLimit, createRedisCounter, type SharedCounter } from '@annals/platform/rate-limit'
import { createRedis, type Redis } from '@annals/platform/redis'
import { eventually, proxyOf, requireEnv, uniqueName, type SilentProxy } from '@annals/platform/testing'

const silent = createLogger('test', 'silent')
let proxy: SilentProxy & { url: string }
let redis: Redis
let direct: Redis
let counter: SharedCounter

beforeAll(async () => {
  proxy = await proxyOf(requireEnv('REDIS_URL'), 6379)
  redis = createRedis(proxy.url, silent)
  direct = createRedis(requireEnv('REDIS_URL'), silent)
  counter = createRedisCounter(redis)
  await eventually(() => expect([redis.status, direct.status]).toEqual(['ready', 'ready']))
})
afterAll(async () => {
  redis?.disconnect()
  direct?.disconnect()
  await proxy?.close()
})

describe('a counter in Redis', () => {
  it('counts in the window that the first attempt opened', async () => {
    const key = uniqueName('limit')
    expect(await counter.add(key, 900)).toEqual({ attempts: 1, endsInSeconds: 900 })
    await direct.expire(key, 300)
    expect(await counter.add(key, 900)).toEqual({ attempts: 2, endsInSeconds: 300 })
    await counter.clear(key)
    expect(await direct.exists(key)).toBe(0)
  })

  it('never goes below none, and does not come back without an end', async () => {
    const key = uniqueName('limit')
    await counter.subtract(key)
    expect(await direct.exists(key)).toBe(0)
    await counter.add(key, 900)
    await counter.subtract(key)
    await counter.subtract(key)
    expect([await direct.get(key), (await direct.ttl(key)) > 0]).toEqual(['0', true])
  })

  it('that can not count says so, and does not answer with nothing', async () => {
    const key = uniqueName('limit')
    // As a server without memory: the transaction is answered, with an error in the place of the count.
    await direct.rpush(key, 'no number')
    await expect(counter.add(key, 900)).rejects.toThrow('WRONGTYPE')
    await direct.del(key)
  })
})

describe('a rate limit over Redis', () => {
  it('of 10 lets 10 of 400 at once through, while Redis is silent too', async () => {
    const limit = createRateLimit({
      policy: { attemptsMax: 10, windowSeconds: 900 },
      shared: counter,
      prefix: uniqueName('limit'),
      onSilent: () => undefined,
    })
    const allowedOf = async (key: string) => {
      const attempts = await Promise.all(Array.from({ length: 400 }, () => limit.attempt(key)))
      return attempts.filter(({ isAllowed }) => isAllowed).length
    }
    expect(await allowedOf('before')).toBe(10)
    proxy.silence()
    try {
      expect(await allowedOf('during')).toBe(10)
      expect((await limit.attempt('before')).isAllowed).toBe(false)
    } finally {
      proxy.restore()
    }
  })
})
