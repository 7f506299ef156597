import { describe, expect, it } from '@jest/globals'
import type { NewEvent } from '@annals/contracts'
import { createFactor, factorDecider, tryFactor, waitMs, type Match } from '../../../src/accounts/domain/factor'
import { scenario } from '../../support/scenario'

const given = scenario(factorDecider)
const userId = '11111111-1111-4111-8111-111111111111'
const factorId = '22222222-2222-4222-8222-222222222222'
const at = '2026-03-01T12:00:00.000Z'
const none = { totpSecret: null, codeHashes: null, passkey: null }
const totp: NewEvent<'factor.created'>['data'] = { userId, factorId, kind: 'totp', ...none, totpSecret: 'A'.repeat(32) }
const created: NewEvent<'factor.created'> = { type: 'factor.created', data: totp }
const paper: NewEvent<'factor.created'> = {
  type: 'factor.created',
  data: { userId, factorId, kind: 'recovery-codes', ...none, codeHashes: ['a'.repeat(64), 'b'.repeat(64)] },
}
const passkey: NewEvent<'factor.created'> = {
  type: 'factor.created',
  data: { userId, factorId, kind: 'passkey', ...none, passkey: { credentialId: 'x', publicKey: 'y', transports: [] } },
}
const used = (mark: number | null, spent: number[] = []): NewEvent<'factor.used'> => ({
  type: 'factor.used',
  data: { userId, factorId, mark, spent },
})
const guessed = (failures: number, mark: number | null = null, spent: number[] = []): NewEvent<'factor.guessed'> => ({
  type: 'factor.guessed',
  data: { userId, factorId, mark, spent, failures },
})
const shown = (match: Match, when = at) => tryFactor({ userId, match: () => match, at: when })

describe('a factor', () => {
  it('is made once', () => {
    given().when(createFactor(totp)).yields(created)
    given(created).when(createFactor(totp)).yields()
  })
  it('of nobody is refused', () =>
    given()
      .when(shown({ mark: 1 }))
      .rejects('challenge-failed'))
  it("of somebody else is refused, and the owner's guesses stay as they are", () =>
    given(created)
      .when(tryFactor({ userId: factorId, match: () => ({ mark: 1 }), at }))
      .rejects('challenge-failed'))
  it('counts what is wrong', () => given(created, guessed(3)).when(shown(undefined)).yields(guessed(4)))
  it('forgets what was wrong after what is right', () =>
    given(created, guessed(3), used(100)).when(shown(undefined)).yields(guessed(1, 100)))
  it('carries on what was used beside a wrong code', () =>
    given(paper, used(null, [1]))
      .when(shown(undefined))
      .yields(guessed(1, null, [1])))
})

describe('a code of an app', () => {
  it('is taken', () =>
    given(created)
      .when(shown({ mark: 100 }))
      .yields(used(100)))
  it('is not taken twice', () =>
    given(created, used(100))
      .when(shown({ mark: 100 }))
      .yields(guessed(1, 100)))
  it('of an earlier step is not taken after a later one', () =>
    given(created, used(100))
      .when(shown({ mark: 99 }))
      .yields(guessed(1, 100)))
  it('is not taken after a wrong one came in between', () =>
    given(created, used(100), guessed(1, 100))
      .when(shown({ mark: 100 }))
      .yields(guessed(2, 100)))
  it('of the next step is taken', () =>
    given(created, used(100))
      .when(shown({ mark: 101 }))
      .yields(used(101)))
})

describe('a recovery code', () => {
  it('is taken once', () => {
    given(paper)
      .when(shown({ place: 1 }))
      .yields(used(null, [1]))
    given(paper, used(null, [1]))
      .when(shown({ place: 1 }))
      .yields(guessed(1, null, [1]))
  })
  it('leaves the others as they are', () =>
    given(paper, used(null, [1]))
      .when(shown({ place: 0 }))
      .yields(used(null, [1, 0])))
})

describe('the counter of a passkey', () => {
  it('goes up', () =>
    given(passkey, used(7))
      .when(shown({ mark: 8 }))
      .yields(used(8)))
  it.each([7, 6, 0])('of 7 does not go on with %i: somebody has copied it', (mark) =>
    given(passkey, used(7)).when(shown({ mark })).yields(guessed(1, 7)),
  )
  it('may stay at 0, where an authenticator has none', () =>
    given(passkey, used(0))
      .when(shown({ mark: 0 }))
      .yields(used(0)))
})

describe('after many wrong codes', () => {
  const failedAt = at
  const later = (ms: number) => new Date(Date.parse(at) + ms).toISOString()
  it('nothing is judged, not what is right either, and nothing recorded', () =>
    given(created, { ...guessed(20), at })
      .when(shown({ mark: 1 }, later(19_000)))
      .yields())
  it('it is judged again after the wait', () =>
    given(created, { ...guessed(20), at })
      .when(shown({ mark: 1 }, later(20_000)))
      .yields(used(1)))
  it.each([
    [19, 0],
    [20, 20_000],
    [29, 20_000],
    [30, 40_000],
    [1_000, 3_600_000],
    [1_000_000, 3_600_000],
  ])('%i of them cost %i ms', (failures, ms) => expect(waitMs({ failures, failedAt }, at)).toBe(ms))
})
