import { describe, expect, it } from '@jest/globals'
import { createRateLimit, type Attempt, type RateLimitOptions, type SharedCounter } from '@annals/platform/rate-limit'

/** A shared counter as Redis is one, with a clock that stands unless a test moves it. */
function world(given: Partial<RateLimitOptions> = {}) {
  let at = 1_000_000
  let mode: 'answers' | 'silent' | 'counts in silence' = 'answers'
  let silences = 0
  const windows = new Map<string, { attempts: number; endsAt: number }>()
  const windowOf = (key: string, windowSeconds: number) => {
    const present = windows.get(key)
    if (present && present.endsAt > at) return present
    const window = { attempts: 0, endsAt: at + windowSeconds * 1000 }
    windows.set(key, window)
    return window
  }
  const orSilence = async () => {
    // As a client that gives a question up: later than all that was asked at the same time.
    await new Promise((resolve) => setImmediate(resolve))
    if (mode !== 'answers') throw new Error('no answer in time')
  }
  const shared: SharedCounter = {
    async add(key, windowSeconds) {
      if (mode === 'silent') await orSilence()
      const window = windowOf(key, windowSeconds)
      window.attempts++
      const answer = { attempts: window.attempts, endsInSeconds: Math.ceil((window.endsAt - at) / 1000) }
      await orSilence()
      return answer
    },
    async subtract(key) {
      await orSilence()
      const window = windows.get(key)
      if (window && window.attempts > 0) window.attempts--
    },
    async clear(key) {
      await orSilence()
      windows.delete(key)
    },
  }
  const process = () =>
    createRateLimit({
      policy: { attemptsMax: 10, windowSeconds: 900 },
      shared,
      prefix: 'test:',
      onSilent: () => silences++,
      now: () => at,
      ...given,
    })
  return {
    process,
    shared,
    attemptsOf: (key: string) => windows.get(`test:${key}`)?.attempts ?? 0,
    fall: (next: typeof mode) => (mode = next),
    pass: (seconds: number) => (at += seconds * 1000),
    get silences() {
      return silences
    },
  }
}

const isAllowed = (attempt: Attempt) => attempt.isAllowed
const many = (count: number, attempt: () => Promise<Attempt>) => Promise.all(Array.from({ length: count }, attempt))
const allowedOf = (attempts: readonly Attempt[]) => attempts.filter(isAllowed).length
async function taken(attempt: Promise<Attempt>) {
  const result = await attempt
  if (!result.isAllowed) throw new Error('refused')
  return result
}

describe('a rate limit', () => {
  it('lets so many attempts of a key through in a window, and says when it ends', async () => {
    const { process, pass } = world()
    const limit = process()
    expect(allowedOf(await many(10, () => limit.attempt('anna')))).toBe(10)
    pass(300)
    expect(await limit.attempt('anna')).toEqual({ isAllowed: false, retryAfterSeconds: 600 })
    expect(isAllowed(await limit.attempt('berta'))).toBe(true)
    pass(600)
    expect(isAllowed(await limit.attempt('anna'))).toBe(true)
  })

  it.each(['answers', 'silent', 'counts in silence'] as const)(
    'of 10 lets 10 of 400 through that come at once (the shared counter: %s)',
    async (mode) => {
      const there = world()
      there.fall(mode)
      const limit = there.process()
      const attempts = await many(400, () => limit.attempt('anna'))
      expect(allowedOf(attempts)).toBe(10)
      for (const attempt of attempts) if (!attempt.isAllowed) expect(attempt.retryAfterSeconds).toBe(900)
      expect(there.silences).toBe(mode === 'answers' ? 0 : 10)
    },
  )

  it('holds for all processes together while the shared counter answers, and for each while it does not', async () => {
    const there = world()
    const [one, other] = [there.process(), there.process()]
    const at = (i: number) => (i % 2 ? one : other)
    const alternating = async (count: number) =>
      allowedOf(await Promise.all(Array.from({ length: count }, (_, i) => at(i).attempt('anna'))))
    expect(await alternating(40)).toBe(10)
    there.pass(900)
    there.fall('silent')
    expect(await alternating(40)).toBe(20)
  })

  it('goes on from the last word of the shared counter when that falls silent', async () => {
    const there = world()
    const [one, other] = [there.process(), there.process()]
    expect(allowedOf(await many(7, () => one.attempt('anna')))).toBe(7)
    // Its own count is 1 now, and it has heard of 8.
    expect(isAllowed(await other.attempt('anna'))).toBe(true)
    there.fall('silent')
    expect(allowedOf(await many(10, () => other.attempt('anna')))).toBe(2)
  })

  it('does not count what was given back, here or there', async () => {
    const there = world()
    const limit = there.process()
    for (let i = 0; i < 30; i++) await (await taken(limit.attempt('anna'))).giveBack()
    expect([there.attemptsOf('anna'), limit.size]).toEqual([0, 0])
    expect(allowedOf(await many(12, () => limit.attempt('anna')))).toBe(10)
  })

  it('takes nothing back there that was not counted there', async () => {
    const there = world()
    const limit = there.process()
    await taken(limit.attempt('anna'))
    there.fall('silent')
    const during = await taken(limit.attempt('anna'))
    there.fall('answers')
    await during.giveBack()
    expect(there.attemptsOf('anna')).toBe(1)
  })

  it('counts what may have been counted in silence', async () => {
    const there = world()
    const limit = there.process()
    there.fall('counts in silence')
    expect(allowedOf(await many(6, () => limit.attempt('anna')))).toBe(6)
    there.fall('answers')
    expect(allowedOf(await many(6, () => limit.attempt('anna')))).toBe(4)
  })

  it('forgets what was before, here and there', async () => {
    const there = world()
    const limit = there.process()
    const [last] = (await many(10, () => limit.attempt('anna'))).toReversed()
    if (last?.isAllowed) await last.forget()
    expect(there.attemptsOf('anna')).toBe(0)
    expect(allowedOf(await many(12, () => limit.attempt('anna')))).toBe(10)
  })

  it('remembers so many keys, and refuses others rather than forget one', async () => {
    const there = world({ keysMax: 3 })
    const limit = there.process()
    for (const key of ['a', 'b', 'c']) {
      await many(10, () => limit.attempt(key))
      there.pass(100)
    }
    expect(await limit.attempt('d')).toEqual({ isAllowed: false, retryAfterSeconds: 600 })
    expect(isAllowed(await limit.attempt('a'))).toBe(false)
    there.pass(600)
    expect(isAllowed(await limit.attempt('d'))).toBe(true)
    expect(limit.size).toBe(3)
  })
})
