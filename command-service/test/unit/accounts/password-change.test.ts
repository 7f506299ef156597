import { describe, expect, it } from '@jest/globals'
import type { NewEvent } from '@annals/contracts'
import { changePassword, resetPassword } from '../../../src/accounts/domain/password-change'
import { changesBurst, changesForRecovery, userDecider } from '../../../src/accounts/domain/user'
import { longAgo, scenario } from '../../support/scenario'

const given = scenario(userDecider)
const userId = '11111111-1111-4111-8111-111111111111'
const credentialId = '22222222-2222-4222-8222-222222222222'
const next = '33333333-3333-4333-8333-333333333333'
const sessionId = '44444444-4444-4444-8444-444444444444'
const otherSession = '55555555-5555-4555-8555-555555555555'
const at = longAgo

const begun: NewEvent<'user.registered'> = {
  type: 'user.registered',
  data: {
    userId,
    email: 'a@example.com',
    name: 'Anna',
    locale: 'en',
    credentialId,
    emailProved: true,
    roles: ['user'],
  },
}
const changed = (
  epoch: number,
  by: 'owner' | 'reset',
  exceptSessionId: string | null = null,
): NewEvent<'user.password_changed'> => ({
  type: 'user.password_changed',
  data: { userId, credentialId: next, epoch, exceptSessionId, by },
})
const ended: NewEvent<'user.sessions_ended'> = {
  type: 'user.sessions_ended',
  data: { userId, epoch: 2, exceptSessionId: null },
}
const disabled: NewEvent<'user.disabled'> = {
  type: 'user.disabled',
  data: { userId, epoch: 2, reason: 'administrator' },
}
const moved: NewEvent<'user.phone_changed'> = { type: 'user.phone_changed', data: { userId, phone: '+34600123456' } }
const moves = (count: number) => Array.from({ length: count }, () => moved)

describe('changing a password', () => {
  const bearer = { sessionId, epoch: 1 }
  const change = changePassword({ credentialId: next, formerCredentialId: credentialId, bearer, at })
  it('is another credential and another epoch, and the bearer goes on', () =>
    given(begun)
      .when(change)
      .yields(changed(2, 'owner', sessionId)))
  it('is done once', () =>
    given(begun, changed(2, 'owner', sessionId))
      .when(change)
      .yields())
  it('is refused when it is not the password any more that was compared', () =>
    given(begun)
      .when(changePassword({ credentialId: next, formerCredentialId: otherSession, bearer, at }))
      .rejects('concurrent-change'))
  it('is refused to a session that is over, whoever ended it', () =>
    given(begun, ended).when(change).rejects('session-ended'))
  it('is refused to a session that another one has ended by a change', () =>
    given(begun, changed(2, 'owner', otherSession))
      .when(change)
      .rejects('session-ended'))
  it('is refused for a disabled account', () => given(begun, disabled).when(change).rejects('account-disabled'))
  it('is refused for nobody', () => given().when(change).rejects('user-not-found'))
  it('is refused after too many changes', () =>
    given(begun, ...moves(changesBurst))
      .when(change)
      .rejects('too-many-changes'))
})

describe('resetting a password', () => {
  const reset = resetPassword({ credentialId: next, epoch: 1, at })
  it('ends all sessions', () => given(begun).when(reset).yields(changed(2, 'reset')))
  it('is done once', () => given(begun, changed(2, 'reset')).when(reset).yields())
  it('is refused to a second password by the same link', () =>
    given(begun, changed(2, 'reset'))
      .when(resetPassword({ credentialId: otherSession, epoch: 1, at }))
      .rejects('challenge-failed'))
  it('is refused to a link of a former epoch', () => given(begun, ended).when(reset).rejects('challenge-failed'))
  it('is refused for a disabled account', () => given(begun, disabled).when(reset).rejects('account-disabled'))
  it('still works for an owner whose changes somebody has used up', () =>
    given(begun, ...moves(changesBurst))
      .when(reset)
      .yields(changed(2, 'reset')))
  it('has an end as well', () =>
    given(begun, ...moves(changesBurst + changesForRecovery))
      .when(reset)
      .rejects('too-many-changes'))
  it('leaves the rest of the account as it is', () => {
    const { state } = given(begun, changed(2, 'reset'))
    expect(state).toMatchObject({ status: 'active', credentialId: next, epoch: 2, exceptSessionId: null, factors: [] })
  })
})
