import { describe, expect, it } from '@jest/globals'
import { Role, type NewEvent } from '@annals/contracts'
import { grantRole, register, userDecider } from '../../../src/accounts/domain/user'
import { scenario } from '../../support/scenario'

const given = scenario(userDecider)
const userId = '11111111-1111-4111-8111-111111111111'
const credentialId = '22222222-2222-4222-8222-222222222222'
const otherCredential = '33333333-3333-4333-8333-333333333333'
const input = { userId, email: 'anna@example.com', name: 'Anna', locale: 'en', credentialId }

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
    const events: NewEvent<'user.registered' | 'user.role_granted'>[] = [registered]
    for (let i = 0; i < 100; i++)
      events.push(...grantRole({ role: Role.options[i % Role.options.length]! })(given(...events).state))
    expect(events.length).toBeLessThanOrEqual(Role.options.length)
  })
  it('refuses a user who never registered', () =>
    given()
      .when(grantRole({ role: 'admin' }))
      .rejects('user-not-found'))
})
