import { describe, expect, it, jest } from '@jest/globals'
import { createGuessThrottle } from '../../../src/accounts/guess-throttle'
import { createPasswordCheck, type CheckedPassword } from '../../../src/accounts/password-check'
import type { PasswordComparison } from '../../../src/accounts/passwords'
import { Overloaded, TooManyRequests } from '../../../src/core/faults'

const policy = (attemptsMax: number) => ({ attemptsMax, windowSeconds: 900 })
/** No Redis: what this process counts decides. */
const silent = () => Promise.reject(new Error('no answer'))

function world({ perAddress = 3, perClient = 100 } = {}) {
  const told: CheckedPassword[] = []
  const matches = jest.fn<PasswordComparison['matches']>(async (password, hash, _place, onStart) => {
    onStart?.()
    return password === hash
  })
  const find = jest.fn(async () => ({ passwordHash: 'right' as string | null, userId: 'anna' }))
  const check = createPasswordCheck({
    throttle: createGuessThrottle({
      shared: { add: silent, subtract: silent, clear: silent },
      perAddress: policy(perAddress),
      knownNetworks: { has: silent, add: silent },
      perClient: policy(perClient),
      onSilent: () => undefined,
    }),
    passwords: { matches },
    onVerdict: (checked) => told.push(checked),
  })
  return {
    told,
    matches,
    find,
    verdicts: () => told.map(({ verdict }) => verdict),
    check: (
      password: string,
      given: { addressHash?: string; client?: string; purpose?: 'login' | 'registration' } = {},
    ) =>
      check({ purpose: 'login', addressHash: 'a', client: '192.0.2.1', correlationId: 'c', password, find, ...given }),
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

  it('counts by /64 of IPv6, and by address of IPv4', async () => {
    const { check } = world({ perClient: 2 })
    const from = (client: string, addressHash: string) => check('wrong', { client, addressHash })
    await from('2001:db8::1', 'a')
    await from('2001:db8::ffff:1', 'b')
    await expect(from('2001:db8:0:0:1::', 'c')).rejects.toThrow(TooManyRequests)
    await from('2001:db8:0:1::1', 'd')
    await from('192.0.2.1', 'e')
    await from('192.0.2.1', 'f')
    await from('192.0.2.2', 'g')
    await expect(from('192.0.2.1', 'h')).rejects.toThrow(TooManyRequests)
  })

  it('does not count what is right, and forgets what was wrong before', async () => {
    const { check } = world({ perClient: 8 })
    for (let i = 0; i < 4; i++) {
      await check('wrong')
      await check('wrong')
      if (i < 3) expect(await check('right')).toBeDefined()
    }
    // Eight were wrong from this client: those are not forgotten.
    await expect(check('right', { addressHash: 'b' })).rejects.toThrow(TooManyRequests)
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
