import { describe, expect, it } from '@jest/globals'
import type { FactorKind, NewEvent } from '@annals/contracts'
import { addFactor, askedFactors, factorsMax, removeFactor } from '../../../src/accounts/domain/factors'
import { askCode, ceremonyDecider, codesAskedMax, complete } from '../../../src/accounts/domain/ceremony'
import { passkeyDecider, reservePasskey } from '../../../src/accounts/domain/passkey'
import { changesBurst, userDecider } from '../../../src/accounts/domain/user'
import { longAgo, scenario } from '../../support/scenario'

const given = scenario(userDecider)
const userId = '11111111-1111-4111-8111-111111111111'
const sessionId = '33333333-3333-4333-8333-333333333333'
const bearer = { sessionId, epoch: 1 }
const id = (n: number) => `22222222-2222-4222-8222-${String(n).padStart(12, '0')}`
const registered: NewEvent<'user.registered'> = {
  type: 'user.registered',
  data: {
    userId,
    email: 'a@example.org',
    name: 'A',
    locale: 'en',
    roles: ['user'],
    credentialId: null,
    emailProved: true,
  },
}
const added = (n: number, kind: FactorKind = 'totp'): NewEvent<'user.factor_added'> => ({
  type: 'user.factor_added',
  data: { userId, factorId: id(n), kind, label: null },
})
const removed = (n: number, kind: FactorKind = 'totp'): NewEvent<'user.factor_removed'> => ({
  type: 'user.factor_removed',
  data: { userId, factorId: id(n), kind },
})
const add = (n: number, kind: FactorKind = 'totp') =>
  addFactor({ bearer, factorId: id(n), kind, label: null, at: longAgo })
const remove = (n: number) => removeFactor({ bearer, factorId: id(n), at: longAgo })
const ended: NewEvent<'user.sessions_ended'> = {
  type: 'user.sessions_ended',
  data: { userId, epoch: 2, exceptSessionId: null },
}

describe('adding a factor', () => {
  it('adds it, once', () => {
    given(registered).when(add(1)).yields(added(1))
    given(registered, added(1)).when(add(1)).yields()
  })
  it('is bounded', () =>
    given(registered, ...Array.from({ length: factorsMax }, (_, n) => added(n)))
      .when(add(99))
      .rejects('too-many-factors'))
  it('replaces the one of a kind of which there is one', () =>
    given(registered, added(1), added(2, 'recovery-codes'))
      .when(add(3, 'recovery-codes'))
      .yields(removed(2, 'recovery-codes'), added(3, 'recovery-codes')))
  it('replaces it also where there are as many as may be', () =>
    given(registered, added(0, 'email'), ...Array.from({ length: factorsMax - 1 }, (_, n) => added(n + 1)))
      .when(add(99, 'email'))
      .yields(removed(0, 'email'), added(99, 'email')))
  it('of recovery codes needs another one', () =>
    given(registered).when(add(1, 'recovery-codes')).rejects('factor-missing'))
  it('is nothing for a session of a former epoch', () => given(registered, ended).when(add(1)).rejects('session-ended'))
  it('counts among the changes of an account', () =>
    given(registered, ...Array.from({ length: changesBurst / 2 }, () => [added(1), removed(1)]).flat())
      .when(add(2))
      .rejects('too-many-changes'))
  it('is nothing for nobody', () => given().when(add(1)).rejects('user-not-found'))
})

describe('removing a factor', () => {
  it('removes it', () => given(registered, added(1), added(2)).when(remove(1)).yields(removed(1)))
  it('takes the recovery codes along with the last one', () =>
    given(registered, added(1), added(2, 'recovery-codes'))
      .when(remove(1))
      .yields(removed(1), removed(2, 'recovery-codes')))
  it('leaves the others when it is the recovery codes', () =>
    given(registered, added(1), added(2, 'recovery-codes')).when(remove(2)).yields(removed(2, 'recovery-codes')))
  it('that is not there is refused', () =>
    given(registered, added(1), removed(1)).when(remove(1)).rejects('factor-not-found'))
  it('is nothing for a session of a former epoch', () =>
    given(registered, added(1), ended).when(remove(1)).rejects('session-ended'))
})

describe('a login asks', () => {
  const asked = (...kinds: FactorKind[]) =>
    askedFactors({ factors: kinds.map((kind, n) => ({ factorId: id(n), kind })) })
  it('for nothing where there is no factor', () => expect(asked()).toEqual([]))
  it('for one of all factors', () => expect(asked('totp', 'recovery-codes')).toHaveLength(2))
  it('for nothing where there are recovery codes alone', () => expect(asked('recovery-codes')).toEqual([]))
})

describe('a ceremony', () => {
  const ceremony = scenario(ceremonyDecider)
  const ceremonyId = id(7)
  const done: NewEvent<'ceremony.completed'> = { type: 'ceremony.completed', data: { ceremonyId, userId } }
  const code = (n: number): NewEvent<'ceremony.code_asked'> => ({
    type: 'ceremony.code_asked',
    data: { ceremonyId, userId, factorId: id(1), challengeId: id(n) },
  })
  const codes = (n: number) => Array.from({ length: n }, (_, i) => code(i))
  it('comes to its end', () => ceremony().when(complete({ ceremonyId, userId })).yields(done))
  it('comes to its end once', () => ceremony(done).when(complete({ ceremonyId, userId })).rejects('challenge-failed'))
  it('asks for no code after it', () =>
    ceremony(done)
      .when(askCode(code(1).data))
      .rejects('challenge-failed'))
  it('asks for a few codes', () =>
    ceremony(...codes(codesAskedMax - 1))
      .when(askCode(code(9).data))
      .yields(code(9)))
  it('asks for no more', () =>
    ceremony(...codes(codesAskedMax))
      .when(askCode(code(9).data))
      .rejects('challenge-failed'))
  it('takes the last code that was asked for', () =>
    expect(ceremony(code(1), code(2)).state).toMatchObject({ asked: { challengeId: id(2) } }))
})

describe('a credential id', () => {
  const passkey = scenario(passkeyDecider)
  const own = { userId, factorId: id(1) }
  const reserved: NewEvent<'passkey.reserved'> = { type: 'passkey.reserved', data: own }
  it('goes to the first who comes', () => passkey().when(reservePasskey(own)).yields(reserved))
  it('is its already when asked again', () => passkey(reserved).when(reservePasskey(own)).yields())
  it('is taken for others', () =>
    passkey(reserved)
      .when(reservePasskey({ userId: id(9), factorId: id(1) }))
      .rejects('passkey-taken'))
  it('is taken for another factor of the same account', () =>
    passkey(reserved)
      .when(reservePasskey({ userId, factorId: id(2) }))
      .rejects('passkey-taken'))
})
