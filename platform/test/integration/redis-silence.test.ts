import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { createLogger } from '@annals/platform/log'
import { createRedis, redisDeadlines, type Redis } from '@annals/platform/redis'
import { eventually, proxyOf, requireEnv, uniqueName } from '@annals/platform/testing'

const silent = createLogger('test', 'silent')
let proxy: Awaited<ReturnType<typeof proxyOf>>
let redis: Redis

beforeEach(async () => {
  proxy = await proxyOf(requireEnv('REDIS_URL'), 6379)
  redis = createRedis(proxy.url, silent)
  await eventually(() => redis.ping())
})
afterEach(async () => {
  redis.disconnect()
  await proxy.close()
})

async function failureMs(): Promise<number> {
  const began = performance.now()
  await expect(redis.ping()).rejects.toThrow()
  return performance.now() - began
}

it('gives a command up after half a second, and a connection that fell silent after one', async () => {
  proxy.silence('established')
  expect(await failureMs()).toBeLessThan(redisDeadlines.commandMs + 300)
  // On the connection itself: no command says again that it is dead.
  await eventually(() => redis.ping(), { withinMs: redisDeadlines.silentMs + 2_000 })
  expect(proxy.accepted).toBe(2)
})

it('connects anew by itself when the connections that it makes are silent as well, once they are not', async () => {
  proxy.silence()
  await failureMs()
  await eventually(() => expect(proxy.accepted).toBeGreaterThanOrEqual(4))
  expect(await failureMs()).toBeLessThan(redisDeadlines.commandMs + 300)
  proxy.restore()
  const key = uniqueName('silence')
  await eventually(() => redis.set(key, '1', 'EX', 60))
  expect(await redis.get(key)).toBe('1')
})
