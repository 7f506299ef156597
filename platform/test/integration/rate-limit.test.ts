import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { createLogger } from '@annals/platform/log'
import { createRateLimit, createRedisWindows, type Attempt, type RateWindow } from '@annals/platform/rate-limit'
import { createRedis, type Redis } from '@annals/platform/redis'
import { eventually, proxyOf, requireEnv, testScope, uniqueName, type SilentProxy } from '@annals/platform/testing'

const silent = createLogger('test', 'silent')
const scope = testScope('file')
let proxy: SilentProxy & { url: string }
/** Two processes: `redis` by a way that can fall silent. */
let redis: Redis
let direct: Redis

beforeAll(async () => {
  proxy = scope.add(await proxyOf(requireEnv('REDIS_URL'), 6379), (it) => it.close())
  redis = scope.add(createRedis(proxy.url, silent), (it) => it.disconnect())
  direct = scope.add(createRedis(requireEnv('REDIS_URL'), silent), (it) => it.disconnect())
  await eventually(() => expect([redis.status, direct.status]).toEqual(['ready', 'ready']))
})

const windowOf = (limit: number, windowMs: number, key = uniqueName('limit')): RateWindow => ({ key, limit, windowMs })
const minute = 60_000
let ids = 0
const newId = () => `attempt-${ids++}`

describe('windows in Redis', () => {
  it('count an attempt in all of them, and tell how each stands', async () => {
    const windows = createRedisWindows(direct)
    const [small, large] = [windowOf(2, minute), windowOf(5, 2 * minute)]
    const first = await windows.take(newId(), [small, large])
    expect(first).toEqual({
      isTaken: true,
      standings: [
        { count: 1, oldestLeavesInMs: minute },
        { count: 1, oldestLeavesInMs: 2 * minute },
      ],
    })
    expect(await windows.take(newId(), [small, large])).toMatchObject({ standings: [{ count: 2 }, { count: 2 }] })
  })

  it('refuse by the first that is full, and count in none then', async () => {
    const windows = createRedisWindows(direct)
    const [large, small] = [windowOf(5, minute), windowOf(1, minute)]
    await windows.take(newId(), [large, small])
    for (let i = 0; i < 3; i++) {
      const refused = await windows.take(newId(), [large, small])
      expect(refused).toMatchObject({ isTaken: false, full: 1 })
      if (!refused.isTaken) expect(refused.retryAfterMs).toBeGreaterThan(minute - 5_000)
    }
    expect(await direct.zcard(large.key)).toBe(1)
  })

  it('hold as many members as their limit, and go when the last of them leaves', async () => {
    const windows = createRedisWindows(direct)
    const window = windowOf(10, 300)
    await Promise.all(Array.from({ length: 100 }, () => windows.take(newId(), [window])))
    expect(await direct.zcard(window.key)).toBe(10)
    expect(await direct.pttl(window.key)).toBeLessThanOrEqual(300)
    await eventually(async () => expect(await direct.exists(window.key)).toBe(0))
  })

  it('count an attempt once that is sent again', async () => {
    const windows = createRedisWindows(direct)
    const window = windowOf(1, minute)
    const id = newId()
    for (let i = 0; i < 2; i++) expect(await windows.take(id, [window])).toMatchObject({ standings: [{ count: 1 }] })
    expect(await windows.take(newId(), [window])).toMatchObject({ isTaken: false })
  })

  it('take back what was counted and nothing else, and forget', async () => {
    const windows = createRedisWindows(direct)
    const both = [windowOf(3, minute), windowOf(3, minute)]
    const keys = both.map(({ key }) => key)
    const id = newId()
    await windows.take(id, both)
    await windows.take(newId(), both)
    await windows.giveBack(id, keys)
    await windows.giveBack(id, keys)
    await windows.giveBack('never counted', keys)
    expect(await Promise.all(keys.map((key) => direct.zcard(key)))).toEqual([1, 1])
    await windows.forget(keys)
    expect(await direct.exists(...keys)).toBe(0)
  })

  it('are tighter or wider for some, and say when there is room for those', async () => {
    const windows = createRedisWindows(direct)
    const wide = windowOf(4, minute)
    for (let i = 0; i < 4; i++) {
      await windows.take(newId(), [wide])
      if (i === 1) await delay(300)
    }
    const [ofWide, ofTight] = await Promise.all([wide, { ...wide, limit: 2 }].map((it) => windows.take(newId(), [it])))
    if (ofWide!.isTaken || ofTight!.isTaken) throw new Error('taken')
    // The first of four has to leave for the one, three of them for the other.
    expect(ofTight!.retryAfterMs - ofWide!.retryAfterMs).toBeGreaterThanOrEqual(290)
  })

  it('whose clock was set back keep nobody out for longer than a window', async () => {
    const windows = createRedisWindows(direct)
    const window = windowOf(2, 200)
    const [seconds] = await direct.time()
    const inAnHour = Number(seconds) * 1000 + 3_600_000
    await direct.zadd(window.key, inAnHour, 'a', inAnHour + 1, 'b')
    const refused = await windows.take(newId(), [window])
    expect(refused).toEqual({ isTaken: false, full: 0, retryAfterMs: 200 })
    await eventually(async () => expect(await windows.take(newId(), [window])).toMatchObject({ isTaken: true }))
  })

  it('that can not count say so', async () => {
    const windows = createRedisWindows(direct)
    const window = windowOf(2, minute)
    await direct.set(window.key, 'no window', 'EX', 60)
    await expect(windows.take(newId(), [window])).rejects.toThrow('WRONGTYPE')
    await expect(windows.giveBack('a', [window.key])).rejects.toThrow('WRONGTYPE')
  })
})

/** A process with a limit. */
function process(through: Redis) {
  let silences = 0
  const limit = createRateLimit({ shared: createRedisWindows(through), onSilent: () => silences++ })
  return {
    limit,
    get silences() {
      return silences
    },
  }
}
const allowedOf = (attempts: readonly Attempt[]) => attempts.filter(({ isAllowed }) => isAllowed).length

describe('two processes with one limit', () => {
  it('let exactly as many through as it says, of 400 at once', async () => {
    const [one, other] = [process(redis).limit, process(direct).limit]
    const windows = [windowOf(1_000, minute), windowOf(37, minute)]
    const attempts = await Promise.all(Array.from({ length: 400 }, (_, i) => (i % 2 ? one : other).attempt(windows)))
    expect(allowedOf(attempts)).toBe(37)
    expect(await direct.zcard(windows[0]!.key)).toBe(37)
    for (const attempt of attempts)
      if (!attempt.isAllowed) expect([attempt.full, attempt.retryAfterSeconds]).toEqual([1, 60])
  })

  it('of 100 guesses at once count 100', async () => {
    const [one, other] = [process(redis).limit, process(direct).limit]
    const window = windowOf(1_000, minute)
    await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? one : other).attempt([window])))
    expect(await direct.zcard(window.key)).toBe(100)
  })

  it('let no more than the limit through in any time as long as the window: nothing doubles at its edge', async () => {
    const [one, other] = [process(redis).limit, process(direct).limit]
    const window = windowOf(10, 500)
    const allowedAt: { began: number; ended: number }[] = []
    const until = performance.now() + 2_200
    while (performance.now() < until) {
      const began = performance.now()
      const attempts = await Promise.all([one, other].map((limit) => limit.attempt([window])))
      const ended = performance.now()
      for (let i = allowedOf(attempts); i > 0; i--) allowedAt.push({ began, ended })
      await delay(5)
    }
    // Eleven in a row never fit into one window, whenever each of them was counted.
    for (const [i, { ended }] of allowedAt.slice(10).entries())
      expect(ended - allowedAt[i]!.began).toBeGreaterThanOrEqual(500 - 2)
    // And the limit is used: some 45 in 2.2 s.
    expect(allowedAt.length).toBeGreaterThanOrEqual(30)
  })
})

describe('a limit whose Redis falls silent', () => {
  it.each(['both', 'answers'] as const)('lets half of it through, and heals (silent: %s)', async (direction) => {
    const alone = process(redis)
    const { limit } = alone
    const before = windowOf(10, minute)
    expect(allowedOf(await Promise.all(Array.from({ length: 400 }, () => limit.attempt([before]))))).toBe(10)
    const used = windowOf(10, minute)
    for (let i = 0; i < 7; i++) await limit.attempt([used])
    const fresh = windowOf(10, minute)
    proxy.silence('all', direction)
    try {
      const during = await Promise.all(Array.from({ length: 400 }, () => limit.attempt([fresh])))
      expect(allowedOf(during)).toBe(5)
      for (const attempt of during) if (!attempt.isAllowed) expect(attempt.retryAfterSeconds).toBeGreaterThan(50)
      expect(allowedOf([await limit.attempt([before]), await limit.attempt([used])])).toBe(0)
      expect(alone.silences).toBeGreaterThan(0)
    } finally {
      proxy.restore()
    }
    await eventually(() => expect(redis.status).toBe('ready'))
    const after = windowOf(10, minute)
    await eventually(async () => expect(await limit.attempt([after])).toMatchObject({ isAllowed: true }))
    // What was let through alone goes on to count; what was refused may have been counted there as well.
    const rest = await Promise.all(Array.from({ length: 20 }, () => limit.attempt([fresh])))
    expect(allowedOf(rest)).toBeLessThanOrEqual(5)
  })

  it('that is not there at all costs no time', async () => {
    const nowhere = createRedis('redis://127.0.0.1:1', silent)
    const alone = process(nowhere)
    const window = windowOf(10, minute)
    try {
      await eventually(() => expect(nowhere.status).toBe('reconnecting'))
      const begun = performance.now()
      expect(allowedOf(await Promise.all(Array.from({ length: 400 }, () => alone.limit.attempt([window]))))).toBe(5)
      expect(performance.now() - begun).toBeLessThan(400)
    } finally {
      nowhere.disconnect()
    }
  })

  it('counts those of others that it has heard of', async () => {
    const [one, other] = [process(direct).limit, process(redis).limit]
    const window = windowOf(10, minute)
    for (let i = 0; i < 7; i++) await one.attempt([window])
    expect(await other.attempt([window])).toMatchObject({ isAllowed: true, standings: [{ remaining: 2 }] })
    proxy.silence()
    try {
      expect(allowedOf(await Promise.all(Array.from({ length: 20 }, () => other.attempt([window]))))).toBe(2)
    } finally {
      proxy.restore()
      await eventually(() => expect(redis.status).toBe('ready'))
    }
  })
})
