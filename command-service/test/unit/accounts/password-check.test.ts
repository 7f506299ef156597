import { describe, expect, it, jest } from '@jest/globals'
import { createMetrics } from '@annals/platform/metrics'
import { createRateLimits } from '@annals/platform/rate-limit'
import { createGuessThrottle } from '../../../src/accounts/guess-throttle'
import { createPasswordCheck, type CheckedPassword } from '../../../src/accounts/password-check'
import type { Acquaintance } from '../../../src/accounts/trust'
import type { PasswordComparison } from '../../../src/accounts/passwords'
import { Overloaded, TooManyRequests } from '../../../src/core/faults'

/** No Redis: what this process counts decides, and lets half of the limit through. */
const silent = () => Promise.reject(new Error('no answer'))
const limitsOf = (perAccount: number) =>
  createRateLimits({
    table: { authentication: { account: { limit: 2 * perAccount, windowSeconds: 900 } } },
    shared: { take: silent, giveBack: silent, forget: silent },
    metrics: createMetrics('test'),
  })

function world({ perAccount = 3, acquaintance }: { perAccount?: number; acquaintance?: Acquaintance } = {}) {
  const told: CheckedPassword[] = []
  const failedFrom: string[] = []
  const matches = jest.fn<PasswordComparison['matches']>(async (password, hash, _place, onStart) => {
    onStart?.()
    return password === hash
  })
  const find = jest.fn(async () => ({ passwordHash: 'right' as string | null, userId: 'anna' }))
  const check = createPasswordCheck({
    throttle: createGuessThrottle({
      limits: limitsOf(perAccount),
      acquaintances: {
        of: acquaintance ? async () => acquaintance : silent,
        remember: silent,
        hasFailed: async ({ network }) => void failedFrom.push(network),
      },
      onSilent: () => undefined,
    }),
    passwords: { matches },
    onVerdict: (checked) => told.push(checked),
  })
  return {
    told,
    failedFrom,
    matches,
    find,
    verdicts: () => told.map(({ verdict }) => verdict),
    check: (
      password: string,
      given: { addressHash?: string; client?: string; purpose?: 'login' | 'registration' } = {},
    ) =>
      check({
        purpose: 'login',
        addressHash: 'a',
        client: '192.0.2.1',
        device: null,
        correlationId: 'c',
        password,
        find,
        ...given,
      }),
  }
}

describe('the check of a password', () => {
  it('returns what was found when it is right, and nothing when it is wrong', async () => {
    const { check, told } = world()
    expect(await check('right')).toEqual({ passwordHash: 'right', userId: 'anna' })
    expect(await check('wrong')).toBeUndefined()
    expect(told).toEqual([
      { purpose: 'login', verdict: 'right', addressHash: 'a', correlationId: 'c' },
      { purpose: 'login', verdict: 'wrong', addressHash: 'a', correlationId: 'c' },
    ])
  })

  it('counts for an address whatever it is made for, and looks at nothing that is one too many', async () => {
    const { check, matches, find, verdicts } = world()
    for (const purpose of ['login', 'registration', 'login'] as const) await check('wrong', { purpose })
    find.mockClear()
    await expect(check('right', { purpose: 'registration' })).rejects.toThrow(TooManyRequests)
    expect([matches.mock.calls.length, find.mock.calls.length]).toEqual([3, 0])
    expect(verdicts()).toEqual(['wrong', 'wrong', 'wrong', 'throttled'])
    expect(await check('right', { addressHash: 'b' })).toBeDefined()
  })

  it('does not count what is right, and goes on to count what was wrong before', async () => {
    const { check } = world({ perAccount: 3 })
    for (let i = 0; i < 3; i++) {
      expect(await check('right')).toBeDefined()
      await check('wrong')
    }
    // A stranger would see by it that somebody has logged in.
    await expect(check('right')).rejects.toThrow(TooManyRequests)
  })

  it('has a count of its own where the right one came from before, and forgets what was wrong there', async () => {
    const acquaintance = { isKnownNetwork: true, isKnownDevice: false, recentFailures: 0 }
    const { check } = world({ perAccount: 3, acquaintance })
    // Twice as many as for strangers.
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) await check('wrong')
      expect(await check('right')).toBeDefined()
    }
    for (let i = 0; i < 6; i++) await check('wrong')
    await expect(check('right')).rejects.toThrow(TooManyRequests)
    // Another network is another count.
    expect(await check('right', { client: '192.0.2.2' })).toBeDefined()
  })

  it('trusts a network less from which many wrong ones came', async () => {
    const acquaintance = { isKnownNetwork: false, isKnownDevice: false, recentFailures: 20 }
    const { check } = world({ perAccount: 4, acquaintance })
    for (let i = 0; i < 2; i++) await check('wrong')
    await expect(check('right')).rejects.toThrow(TooManyRequests)
  })

  it('tells from which network wrong ones come: IPv6 by /64', async () => {
    const { check, failedFrom } = world()
    await check('wrong', { client: '2001:db8::ffff:1' })
    await check('wrong', { client: '192.0.2.1' })
    await check('right', { client: '192.0.2.9' })
    expect(failedFrom).toEqual(['2001:db8:0:0::/64', '192.0.2.1'])
  })

  it('does not count what was not looked at', async () => {
    const { check, matches, find, verdicts } = world()
    find.mockRejectedValueOnce(new Error('the log is away'))
    await expect(check('wrong')).rejects.toThrow('the log is away')
    matches.mockRejectedValueOnce(new Overloaded('passwords', 1))
    await expect(check('wrong')).rejects.toThrow(Overloaded)
    for (let i = 0; i < 3; i++) expect(await check('wrong')).toBeUndefined()
    await expect(check('wrong')).rejects.toThrow(TooManyRequests)
    expect(verdicts()).toEqual(['not-judged', 'not-judged', 'wrong', 'wrong', 'wrong', 'throttled'])
  })

  it('counts what was looked at, also when it ends in a fault', async () => {
    const { check, matches } = world()
    for (let i = 0; i < 3; i++) {
      matches.mockImplementationOnce(async (_password, _hash, _place, onStart) => {
        onStart?.()
        throw new Error('broken')
      })
      await expect(check('wrong')).rejects.toThrow('broken')
    }
    await expect(check('wrong')).rejects.toThrow(TooManyRequests)
  })
})
