import { describe, expect, it } from '@jest/globals'
import type { NewEvent } from '@annals/contracts'
import { credentialDecider, rehashPassword, setPassword } from '../../../src/accounts/domain/credential'
import { emailReservationDecider, reserve } from '../../../src/accounts/domain/email-reservation'
import { scenario } from '../../support/scenario'

const userId = '11111111-1111-4111-8111-111111111111'
const other = '22222222-2222-4222-8222-222222222222'
const at = '2026-01-01T00:00:00.000Z'
const credentialId = '33333333-3333-4333-8333-333333333333'

describe('reserving an address', () => {
  const given = scenario(emailReservationDecider)
  const reserved: NewEvent<'email.reserved'> = { type: 'email.reserved', data: { userId } }

  it('holds a free one', () => given().when(reserve({ userId, at })).yields(reserved))
  it('does nothing when repeated', () => given(reserved).when(reserve({ userId, at })).yields())
  it('leaves a held one with its holder', () => {
    given(reserved)
      .when(reserve({ userId: other, at }))
      .yields()
    expect(given(reserved).state).toEqual({ status: 'reserved', userId })
  })
})

describe('setting a password', () => {
  const given = scenario(credentialDecider)
  const input = { userId, credentialId, passwordHash: '$2b$12$hash' }
  const set: NewEvent<'credential.set'> = { type: 'credential.set', data: input }

  it('keeps its hash', () => given().when(setPassword(input)).yields(set))
  it('does nothing when repeated', () => given(set).when(setPassword(input)).yields())
  it('never replaces a hash', () => {
    given(set)
      .when(setPassword({ ...input, passwordHash: '$2b$12$another' }))
      .yields()
    expect(given(set).state).toEqual({ status: 'set', userId, passwordHash: '$2b$12$hash' })
  })
})

describe('hashing a password anew', () => {
  const given = scenario(credentialDecider)
  const ids = { userId, credentialId }
  const set: NewEvent<'credential.set'> = { type: 'credential.set', data: { ...ids, passwordHash: 'former' } }
  const rehashed = (passwordHash: string): NewEvent<'credential.rehashed'> => ({
    type: 'credential.rehashed',
    data: { ...ids, passwordHash },
  })
  const rehash = (formerHash: string, passwordHash: string) => rehashPassword({ ...ids, formerHash, passwordHash })

  it('replaces the hash that was compared', () => {
    given(set).when(rehash('former', 'next')).yields(rehashed('next'))
    expect(given(set, rehashed('next')).state).toEqual({ status: 'set', userId, passwordHash: 'next' })
  })
  it('is done again when the form changes again', () =>
    given(set, rehashed('next')).when(rehash('next', 'last')).yields(rehashed('last')))
  it('does nothing when repeated', () => given(set, rehashed('next')).when(rehash('former', 'next')).yields())
  it('leaves a hash that another login has made meanwhile', () =>
    given(set, rehashed('other')).when(rehash('former', 'next')).yields())
  it('leaves a hash that it was not compared with', () => given(set).when(rehash('another', 'next')).yields())
  it('does nothing where no password was set, or its owner was erased', () => {
    given().when(rehash('former', 'next')).yields()
    const erased = credentialDecider.evolve(credentialDecider.initial, {
      type: 'credential.set',
      data: { ...ids, passwordHash: null },
      at: '2026-01-01T00:00:00.000Z',
    })
    expect(rehash('former', 'next')(erased)).toEqual([])
  })
  it('leaves a state that follows from the first and the last event', () => {
    const all = [set, rehashed('a'), rehashed('b'), rehashed('c')] as const
    expect(given(all[0], all[3]).state).toEqual(given(...all).state)
  })
})
