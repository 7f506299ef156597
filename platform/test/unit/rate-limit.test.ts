import { describe, expect, it } from '@jest/globals'
import { createRateLimit, type Attempt, type RateWindow, type SharedWindows } from '@annals/platform/rate-limit'

const never = () => Promise.reject(new Error('no answer'))
/** Redis is away; what it does while it answers is tested with a real one. */
const away: SharedWindows = { take: never, giveBack: never, forget: never }
/** One that has forgotten everything, again and again: nobody was ever counted. */
const forgetful: SharedWindows = {
  take: async (_id, windows) => ({ isTaken: true, standings: windows.map(() => ({ count: 1, oldestLeavesInMs: 1 })) }),
  giveBack: async () => undefined,
  forget: async () => undefined,
}

function world(shared: SharedWindows, keysMax?: number) {
  let at = 0
  const limit = createRateLimit({ shared, onSilent: () => undefined, now: () => at, ...(keysMax ? { keysMax } : {}) })
  return { limit, pass: (seconds: number) => (at += seconds * 1000) }
}

const windowOf = (key: string, limit = 10, windowMs = 900_000): RateWindow => ({ key, limit, windowMs })
const many = (count: number, attempt: () => Promise<Attempt>) => Promise.all(Array.from({ length: count }, attempt))
const allowedOf = (attempts: readonly Attempt[]) => attempts.filter(({ isAllowed }) => isAllowed).length
async function taken(attempt: Promise<Attempt>) {
  const result = await attempt
  if (!result.isAllowed) throw new Error('refused')
  return result
}

describe('a limit that is counted by this process alone', () => {
  it('lets half of it through, and one of one', async () => {
    const { limit } = world(away)
    expect(allowedOf(await many(400, () => limit.attempt([windowOf('anna')])))).toBe(5)
    expect(allowedOf(await many(400, () => limit.attempt([windowOf('berta', 1)])))).toBe(1)
    expect(allowedOf(await many(400, () => limit.attempt([windowOf('carla', 3)])))).toBe(2)
  })

  it('slides: each place comes back when the attempt that took it leaves', async () => {
    const { limit, pass } = world(away)
    for (let i = 0; i < 5; i++) {
      await taken(limit.attempt([windowOf('anna')]))
      pass(100)
    }
    expect(await limit.attempt([windowOf('anna')])).toEqual({ isAllowed: false, full: 0, retryAfterSeconds: 400 })
    pass(400)
    expect(allowedOf(await many(9, () => limit.attempt([windowOf('anna')])))).toBe(1)
    expect(await limit.attempt([windowOf('anna')])).toMatchObject({ retryAfterSeconds: 100 })
  })

  it('counts in all windows or in none', async () => {
    const { limit } = world(away)
    const [wide, narrow] = [windowOf('wide'), windowOf('narrow', 2)]
    expect(await many(3, () => limit.attempt([wide, narrow]))).toMatchObject([
      { isAllowed: true, standings: [{ remaining: 4 }, { remaining: 0 }] },
      { isAllowed: false, full: 1 },
      { isAllowed: false, full: 1 },
    ])
    expect(allowedOf(await many(9, () => limit.attempt([wide])))).toBe(4)
  })

  it('does not count what was given back, and forgets what it is told to', async () => {
    const { limit } = world(away)
    for (let i = 0; i < 30; i++) await (await taken(limit.attempt([windowOf('anna')]))).giveBack()
    expect(limit.size).toBe(0)
    const attempts = await many(5, () => limit.attempt([windowOf('anna')]))
    if (attempts[0]!.isAllowed) await attempts[0]!.forget()
    expect(allowedOf(await many(9, () => limit.attempt([windowOf('anna')])))).toBe(5)
  })

  it('counts what is given back twice once', async () => {
    const { limit } = world(away)
    const [first] = await many(4, () => limit.attempt([windowOf('anna')]))
    if (first!.isAllowed) await Promise.all([first!.giveBack(), first!.giveBack()])
    expect(allowedOf(await many(9, () => limit.attempt([windowOf('anna')])))).toBe(2)
  })

  it('lets nobody through whom it may have forgotten, until what it forgot has ended', async () => {
    const { limit, pass } = world(away, 3)
    for (const key of ['a', 'b', 'c']) {
      await many(5, () => limit.attempt([windowOf(key)]))
      pass(100)
    }
    // "a" makes place for it; who is forgotten can not be told from who is new.
    expect(await limit.attempt([windowOf('d')])).toMatchObject({ isAllowed: false, retryAfterSeconds: 600 })
    expect((await limit.attempt([windowOf('a')])).isAllowed).toBe(false)
    expect(limit.size).toBeLessThanOrEqual(3)
    pass(1_000)
    expect((await limit.attempt([windowOf('e')])).isAllowed).toBe(true)
  })
})

describe('a limit in two halves', () => {
  it('holds a place from the first on, and refuses by itself', async () => {
    const { limit } = world(forgetful)
    const entered = Array.from({ length: 400 }, () => limit.enter([windowOf('ip', 100)]))
    expect(entered.filter((each) => 'decide' in each)).toHaveLength(100)
  })

  it('that the second half refuses counts in none', async () => {
    const { limit } = world(forgetful)
    const [ip, user] = [windowOf('ip', 10), windowOf('user', 1)]
    const both = async () => {
      const entered = limit.enter([ip])
      return 'decide' in entered ? entered.decide([user]) : entered
    }
    expect(await both()).toMatchObject({ isAllowed: true })
    for (let i = 0; i < 20; i++) expect(await both()).toMatchObject({ isAllowed: false, full: 1 })
    expect(allowedOf(await many(20, () => limit.attempt([ip])))).toBe(9)
  })
})

describe('a limit whose Redis has lost what it counted', () => {
  it('holds for each process', async () => {
    const { limit } = world(forgetful)
    expect(allowedOf(await many(400, () => limit.attempt([windowOf('anna')])))).toBe(10)
    expect(await limit.attempt([windowOf('anna')])).toEqual({ isAllowed: false, full: 0, retryAfterSeconds: 900 })
  })
})

describe('memory', () => {
  it('has a bound for keys, whatever comes', async () => {
    const { limit } = world(forgetful, 1_000)
    for (let i = 0; i < 5_000; i++) expect((await limit.attempt([windowOf(`key ${i}`)])).isAllowed).toBe(true)
    expect(limit.size).toBe(1_000)
  })

  it('forgets nobody who is tried again and again', async () => {
    const { limit } = world(forgetful, 100)
    let allowed = 0
    for (let i = 0; i < 2_000; i++) {
      if ((await limit.attempt([windowOf('victim')])).isAllowed) allowed++
      await limit.attempt([windowOf(`key ${i}`)])
    }
    expect(allowed).toBe(10)
  })
})
