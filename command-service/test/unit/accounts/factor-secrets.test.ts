import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { TOTP } from 'otpauth'
import { createCeremonies } from '../../../src/accounts/factors/ceremonies'
import { newRecoveryCodes, recoveryCodeHash } from '../../../src/accounts/factors/recovery-codes'
import { newTotpSecret, totpStep } from '../../../src/accounts/factors/totp'

const factorId = '22222222-2222-4222-8222-222222222222'
const userId = '11111111-1111-4111-8111-111111111111'

describe('a code of an app', () => {
  // RFC 6238, appendix B, cut to six digits: the secret is "12345678901234567890".
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  it.each([
    ['1970-01-01T00:00:59.000Z', '287082', 1],
    ['2005-03-18T01:58:29.000Z', '081804', 37037036],
    ['2009-02-13T23:31:30.000Z', '005924', 41152263],
  ])('at %s is that of the RFC', (at, code, step) => expect(totpStep(secret, code, at)).toBe(step))
  it('of the step before and after is taken, and no other', () => {
    const at = (steps: number) => new Date(Date.parse('2009-02-13T23:31:30.000Z') + steps * 30_000).toISOString()
    expect([-2, -1, 0, 1, 2].map((steps) => totpStep(secret, '005924', at(steps)))).toEqual([
      undefined,
      41152263,
      41152263,
      41152263,
      undefined,
    ])
  })
  it('comes from a secret of 160 bits that an app reads from its URI', () => {
    const { secret: made, uri } = newTotpSecret('Annals', 'ada@example.org')
    expect(made).toMatch(/^[A-Z2-7]{32}$/)
    expect(uri).toMatch(/^otpauth:\/\/totp\/Annals:ada%40example\.org\?/)
    const shown = new URL(uri).searchParams
    expect([shown.get('secret'), shown.get('issuer')]).toEqual([made, 'Annals'])
    const now = new Date().toISOString()
    expect(totpStep(made, new TOTP({ secret: made }).generate(), now)).toBeDefined()
  })
})

describe('recovery codes', () => {
  const codes = newRecoveryCodes()
  it('are ten, none like another', () => {
    expect(new Set(codes).size).toBe(10)
    for (const code of codes) expect(code).toMatch(/^([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$/)
  })
  it('are known however they are typed', () => {
    const code = '0a1b-c1d0-efgh-jkmn'
    for (const typed of ['0A1B C1D0 EFGH JKMN', 'oaIbclDOefghjkmn'])
      expect(recoveryCodeHash(factorId, typed)).toBe(recoveryCodeHash(factorId, code))
  })
  it('are good for one factor', () =>
    expect(recoveryCodeHash(factorId, codes[0]!)).not.toBe(recoveryCodeHash(userId, codes[0]!)))
})

describe('the token of a ceremony', () => {
  const key = randomBytes(32)
  const ceremonies = createCeremonies(key, 'main')
  const at = '2026-03-01T12:00:00.000Z'
  const begin = (through = ceremonies) =>
    through.begin('second-factor', { userId, epoch: 3, methods: ['password'] }, at)
  it('says what was begun', () => {
    const { token, ceremonyId } = begin()
    expect(ceremonies.open('second-factor', token, at)).toMatchObject({ ceremonyId, userId, epoch: 3 })
  })
  it.each([
    ['ten minutes later', () => begin().token, 'second-factor' as const, '2026-03-01T12:10:00.000Z'],
    ['for another purpose', () => begin().token, 'passkey-login' as const, at],
    ['of another key', () => begin(createCeremonies(randomBytes(32), 'main')).token, 'second-factor' as const, at],
    ['of another tenant', () => begin(createCeremonies(key, 'other')).token, 'second-factor' as const, at],
    ['that is no token', () => '\0', 'second-factor' as const, at],
    ['without its end', () => begin().token.slice(0, -1), 'second-factor' as const, at],
    ['that says more', () => `${begin().token.replace('.', 'A.')}`, 'second-factor' as const, at],
  ])('is refused %s', (_, token, purpose, now) =>
    expect(() => ceremonies.open(purpose, token(), now)).toThrow('challenge-failed'),
  )
  it('has a challenge of its own', () => {
    const [one, other] = [begin().ceremonyId, begin().ceremonyId].map(ceremonies.challengeOf)
    expect(one).toMatch(/^[\w-]{43}$/)
    expect(one).not.toBe(other)
  })
})
