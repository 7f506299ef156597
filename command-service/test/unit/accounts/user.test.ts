import { describe, expect, it } from '@jest/globals'
import { builtInRoles, type NewEvent } from '@annals/contracts'
import {
  activeAccount,
  changesBurst,
  disable,
  enable,
  endSessions,
  grantRole,
  holdsSession,
  register,
  userDecider,
  type User,
} from '../../../src/accounts/domain/user'
import { scenario } from '../../support/scenario'

const given = scenario(userDecider)
const userId = '11111111-1111-4111-8111-111111111111'
const credentialId = '22222222-2222-4222-8222-222222222222'
const otherCredential = '33333333-3333-4333-8333-333333333333'
const input = { userId, email: 'anna@example.com', name: 'Anna', locale: 'en', credentialId, emailProved: false }

const registered: NewEvent<'user.registered'> = { type: 'user.registered', data: { ...input, roles: ['user'] } }
const granted: NewEvent<'user.role_granted'> = { type: 'user.role_granted', data: { userId, role: 'admin' } }

describe('registering', () => {
  it('makes a user of whoever comes first', () => given().when(register(input)).yields(registered))
  it('does nothing when repeated', () => given(registered).when(register(input)).yields())
  it('does nothing when repeated after the user has gone on', () =>
    given(registered, granted).when(register(input)).yields())
  it('refuses whoever comes second with the same address', () =>
    given(registered)
      .when(register({ ...input, credentialId: otherCredential }))
      .rejects('email-taken'))
})

describe('granting a role', () => {
  it('adds it', () =>
    given(registered)
      .when(grantRole({ role: 'admin' }))
      .yields(granted))
  it('does nothing when repeated', () =>
    given(registered, granted)
      .when(grantRole({ role: 'admin' }))
      .yields())
  it('does nothing for a role that everybody has', () =>
    given(registered)
      .when(grantRole({ role: 'user' }))
      .yields())
  it('leaves a user with one event for each role at most, however often it is asked for', () => {
    const roles = Object.keys(builtInRoles)
    const events: NewEvent<'user.registered' | 'user.role_granted'>[] = [registered]
    for (let i = 0; i < 100; i++) events.push(...grantRole({ role: roles[i % roles.length]! })(given(...events).state))
    expect(events.length).toBeLessThanOrEqual(roles.length)
  })
  it('refuses a user who never registered', () =>
    given()
      .when(grantRole({ role: 'admin' }))
      .rejects('user-not-found'))
})

const at = '2026-03-01T12:00:00.000Z'
const begun = { ...registered, at }
const days = (count: number) => new Date(Date.parse(at) + count * 86_400_000).toISOString()
const sessionId = '44444444-4444-4444-8444-444444444444'
const otherSession = '55555555-5555-4555-8555-555555555555'
const changed = (epoch: number, exceptSessionId: string | null = null): NewEvent<'user.password_changed'> => ({
  type: 'user.password_changed',
  data: { userId, credentialId: otherCredential, epoch, exceptSessionId, by: 'owner' },
})
const disabled = (epoch: number, reason: 'administrator' | 'erasure-requested' = 'administrator') =>
  ({ type: 'user.disabled', data: { userId, epoch, reason } }) as const
const enabled: NewEvent<'user.enabled'> = { type: 'user.enabled', data: { userId } }
const erased: NewEvent<'user.erased'> = { type: 'user.erased', data: { userId, epoch: 9 } }

describe('a session of an account', () => {
  const holds = (user: User, epoch: number, id = sessionId) => holdsSession(user, { sessionId: id, epoch })
  it('is one while its epoch lasts', () => expect(holds(given(begun).state, 1)).toBe(true))
  it('is over with the next epoch', () => expect(holds(given(begun, changed(2)).state, 1)).toBe(false))
  it('goes on where it made the change itself', () => {
    const user = given(begun, changed(2, sessionId)).state
    expect(holds(user, 1)).toBe(true)
    expect(holds(user, 1, otherSession)).toBe(false)
  })
  it('is over for all once another change follows', () =>
    expect(holds(given(begun, changed(2, sessionId), changed(3)).state, 1)).toBe(false))
  it('is none of a disabled account, whatever its epoch', () =>
    expect(holds(given(begun, disabled(2)).state, 2)).toBe(false))
  it('is over for good by that, also after the account was enabled again', () =>
    expect(holds(given(begun, changed(2, sessionId), disabled(3), enabled).state, 1)).toBe(false))
  it('is none of an erased account', () => expect(holds(given(begun, erased).state, 9)).toBe(false))
})

describe('ending all sessions', () => {
  it('begins an epoch, also when it was just done', () =>
    given(begun, { type: 'user.sessions_ended', data: { userId, epoch: 2, exceptSessionId: null } })
      .when(endSessions({ exceptSessionId: sessionId, by: 'owner', at }))
      .yields({ type: 'user.sessions_ended', data: { userId, epoch: 3, exceptSessionId: sessionId } }))
})

describe('changes of the owner’s own', () => {
  const ends = Array.from({ length: changesBurst }, (_, i) => ({
    type: 'user.sessions_ended' as const,
    data: { userId, epoch: i + 2, exceptSessionId: null },
  }))
  const more = (when: string) => endSessions({ exceptSessionId: null, by: 'owner', at: when })
  it('are bounded, since the stream is read whole', () =>
    given(begun, ...ends)
      .when(more(at))
      .rejects('too-many-changes'))
  it('do not bound administrators: sessions can always be ended', () =>
    given(begun, ...ends)
      .when(endSessions({ exceptSessionId: null, by: 'administrator', at }))
      .yields({ type: 'user.sessions_ended', data: { userId, epoch: 202, exceptSessionId: null } }))
  it('are let through again, one each day', () => {
    const next = { type: 'user.sessions_ended' as const, data: { userId, epoch: 202, exceptSessionId: null } }
    given(begun, ...ends)
      .when(more(days(1)))
      .yields(next)
    given(begun, ...ends, next)
      .when(more(days(1)))
      .rejects('too-many-changes')
  })
  it('never keep an operator from disabling the account', () =>
    given(begun, ...ends)
      .when(disable({ reason: 'administrator' }))
      .yields(disabled(202)))
})

describe('disabling an account', () => {
  it('ends its sessions with an epoch', () =>
    given(begun)
      .when(disable({ reason: 'administrator' }))
      .yields(disabled(2)))
  it('keeps the reason that came first', () =>
    given(begun, disabled(2))
      .when(disable({ reason: 'erasure-requested' }))
      .yields())
  it('is undone by enabling it', () => given(begun, disabled(2)).when(enable()).yields(enabled))
  it('changes nothing when it is enabled', () => given(begun).when(enable()).yields())
  it('is not undone by others where its owner wants it erased', () =>
    given(begun, disabled(2, 'erasure-requested')).when(enable()).rejects('erasure-scheduled'))
  it('leaves nobody who may act in its name', () =>
    expect(() => activeAccount(given(begun, disabled(2)).state)).toThrow('account-disabled'))
})
