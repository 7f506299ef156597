import { describe, expect, it } from '@jest/globals'
import type { NewEvent } from '@annals/contracts'
import { changeEmail, leftBehind, undoEmailChange, undoSeconds } from '../../../src/accounts/domain/email-change'
import { emailReservationDecider, mayHold, release, reserve } from '../../../src/accounts/domain/email-reservation'
import { personDecider } from '../../../src/accounts/domain/person'
import { changesBurst } from '../../../src/accounts/domain/user'
import { longAgo, scenario } from '../../support/scenario'

const given = scenario(personDecider)
const userId = '11111111-1111-4111-8111-111111111111'
const other = '22222222-2222-4222-8222-222222222222'
const at = '2026-01-02T00:00:00.000Z'

const begun: NewEvent<'user.registered'> = {
  type: 'user.registered',
  data: {
    userId,
    email: 'a@example.com',
    name: 'Anna',
    locale: 'es',
    credentialId: null,
    emailProved: true,
    roles: ['user'],
  },
}
const to = (email: string, by: 'owner' | 'undo' = 'owner'): NewEvent<'user.email_changed'> => ({
  type: 'user.email_changed',
  data: { userId, email, by },
})
const ended = (epoch: number): NewEvent<'user.sessions_ended'> => ({
  type: 'user.sessions_ended',
  data: { userId, epoch, exceptSessionId: null },
})
const disabled: NewEvent<'user.disabled'> = {
  type: 'user.disabled',
  data: { userId, epoch: 2, reason: 'administrator' },
}
const erased: NewEvent<'user.erased'> = { type: 'user.erased', data: { userId, epoch: 2 } }

describe('changing the address', () => {
  const change = changeEmail({ email: 'b@example.com', epoch: 1, at })
  it('records the new one', () => given(begun).when(change).yields(to('b@example.com')))
  it('does nothing when repeated', () => given(begun, to('b@example.com')).when(change).yields())
  it('is refused when it was asked for in a former epoch', () =>
    given(begun, ended(2)).when(change).rejects('challenge-failed'))
  it('is true already in a later epoch, if it was done before', () =>
    given(begun, to('b@example.com'), ended(2)).when(change).yields())
  it('is refused for a disabled account', () => given(begun, disabled).when(change).rejects('account-disabled'))
  it('is refused after erasure', () => given(begun, erased).when(change).rejects('user-not-found'))
  it('is refused after too many changes', () =>
    given(begun, ...Array.from({ length: changesBurst }, (_, i) => to(`c${i}@example.com`)))
      .when(changeEmail({ email: 'b@example.com', epoch: 1, at: longAgo }))
      .rejects('too-many-changes'))
})

describe('putting an address back', () => {
  const undo = undoEmailChange({ email: 'a@example.com' })
  it('puts it back and ends all sessions', () =>
    given(begun, to('b@example.com')).when(undo).yields(to('a@example.com', 'undo'), ended(2)))
  it('does nothing when it is back', () =>
    given(begun, to('b@example.com'), to('a@example.com', 'undo'), ended(2)).when(undo).yields())
  it('works in whichever epoch, and on a disabled account: the change may have been a thief’s', () => {
    given(begun, to('b@example.com'), ended(2)).when(undo).yields(to('a@example.com', 'undo'), ended(3))
    given(begun, to('b@example.com'), disabled).when(undo).yields(to('a@example.com', 'undo'), ended(3))
  })
  it('works past other changes, and annuls them', () => {
    const stolen = [begun, to('b@example.com'), to('c@example.com')]
    given(...stolen)
      .when(undo)
      .yields(to('a@example.com', 'undo'), ended(2))
    given(...stolen, to('a@example.com', 'undo'), ended(2))
      .when(undoEmailChange({ email: 'b@example.com' }))
      .rejects('challenge-failed')
  })
  it('is refused for what was never the address', () =>
    given(begun, to('b@example.com'))
      .when(undoEmailChange({ email: 'd@example.com' }))
      .rejects('challenge-failed'))
  it('is refused after erasure', () => given(begun, to('b@example.com'), erased).when(undo).rejects('user-not-found'))
})

describe('what a change leaves behind', () => {
  it('is nothing without one', () => expect(leftBehind(given(begun).state)).toBeUndefined())
  it('is the former address, kept while the change can be undone', () =>
    expect(leftBehind(given(begun, { ...to('b@example.com'), at }).state)).toEqual({
      email: 'a@example.com',
      changedAt: at,
      keptUntil: new Date(Date.parse(at) + undoSeconds * 1000).toISOString(),
    }))
  it('is free at once where it was put away by an undo', () =>
    expect(leftBehind(given(begun, to('b@example.com'), to('a@example.com', 'undo')).state)).toMatchObject({
      email: 'b@example.com',
      keptUntil: null,
    }))
  it('is nothing that is known any more after erasure', () =>
    expect(leftBehind(given(begun, to('b@example.com'), erased).state)).toBeUndefined())
})

describe('an address that was let go', () => {
  const reservation = scenario(emailReservationDecider)
  const until = '2026-01-05T00:00:00.000Z'
  const reserved: NewEvent<'email.reserved'> = { type: 'email.reserved', data: { userId } }
  const released = (keptUntil: string | null): NewEvent<'email.released'> => ({
    type: 'email.released',
    data: { userId, keptUntil },
  })
  it('is let go by its holder alone, once', () => {
    reservation(reserved)
      .when(release({ userId, keptUntil: until }))
      .yields(released(until))
    reservation(reserved)
      .when(release({ userId: other, keptUntil: null }))
      .yields()
    reservation(reserved, released(until))
      .when(release({ userId, keptUntil: null }))
      .yields()
  })
  it('is nobody else’s until its time', () => {
    const kept = reservation(reserved, released(until))
    kept.when(reserve({ userId: other, at })).yields()
    kept.when(reserve({ userId, at })).yields(reserved)
    kept.when(reserve({ userId: other, at: until })).yields({ type: 'email.reserved', data: { userId: other } })
    expect(mayHold(kept.state, other, at)).toBe(false)
  })
  it('is anybody’s at once where it is not kept', () =>
    reservation(reserved, released(null))
      .when(reserve({ userId: other, at }))
      .yields({ type: 'email.reserved', data: { userId: other } }))
})
