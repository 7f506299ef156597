import { describe, expect, it } from '@jest/globals'
import { ChangeProfileRequest, type NewEvent } from '@annals/contracts'
import { latestChallengeDecider, makeLatest } from '../../../src/accounts/domain/latest-challenge'
import { personDecider } from '../../../src/accounts/domain/person'
import { changeConsents, changePhone, changeProfile } from '../../../src/accounts/domain/profile'
import { changesBurst, userDecider } from '../../../src/accounts/domain/user'
import { longAgo, scenario } from '../../support/scenario'

const given = scenario(personDecider)
const userId = '11111111-1111-4111-8111-111111111111'
const bearer = { sessionId: '44444444-4444-4444-8444-444444444444', epoch: 1 }
const at = longAgo

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
const profile = (name: string, locale: string, timeZone: string): NewEvent<'user.profile_changed'> => ({
  type: 'user.profile_changed',
  data: { userId, name, locale, timeZone },
})
const ended: NewEvent<'user.sessions_ended'> = {
  type: 'user.sessions_ended',
  data: { userId, epoch: 2, exceptSessionId: null },
}
const phone = (number: string | null): NewEvent<'user.phone_changed'> => ({
  type: 'user.phone_changed',
  data: { userId, phone: number },
})

describe('a profile', () => {
  const move = changeProfile({ timeZone: 'Europe/Madrid', bearer, at })
  it('is recorded whole', () =>
    given(begun)
      .when(move)
      .yields(profile('Anna', 'es', 'Europe/Madrid')))
  it('is recorded once', () =>
    given(begun, profile('Anna', 'es', 'Europe/Madrid'))
      .when(move)
      .yields())
  it('keeps what is left out', () =>
    given(begun, profile('Anna', 'de', 'Europe/Madrid'))
      .when(changeProfile({ name: 'Ana', bearer, at }))
      .yields(profile('Ana', 'de', 'Europe/Madrid')))
  it('is not changed in the name of a session that is over', () =>
    given(begun, ended).when(move).rejects('session-ended'))
  it('is changed so often and no more', () =>
    given(begun, ...Array.from({ length: changesBurst }, (_, i) => profile(`Anna ${i}`, 'es', 'UTC')))
      .when(move)
      .rejects('too-many-changes'))
  it.each(['Europe/Atlantis', 'utc+1', '../etc', 'Europe/Madrid\n', ''])('takes no time zone %j', (timeZone) =>
    expect(ChangeProfileRequest.safeParse({ timeZone }).success).toBe(false),
  )
  it.each(['UTC', 'Europe/Madrid', 'America/Argentina/Ushuaia', 'Etc/GMT+1'])('takes the time zone %s', (timeZone) =>
    expect(ChangeProfileRequest.safeParse({ timeZone }).success).toBe(true),
  )
  it('takes no change of nothing, and nothing beyond a profile', () => {
    expect(ChangeProfileRequest.safeParse({}).success).toBe(false)
    expect(ChangeProfileRequest.safeParse({ name: 'Anna', roles: ['admin'] }).success).toBe(false)
  })
})

describe('a phone number', () => {
  const number = '+34600123456'
  it('is recorded, once', () => {
    given(begun)
      .when(changePhone({ phone: number, bearer, at }))
      .yields(phone(number))
    given(begun, phone(number))
      .when(changePhone({ phone: number, bearer, at }))
      .yields()
  })
  it('is removed, once', () => {
    given(begun, phone(number))
      .when(changePhone({ phone: null, bearer, at }))
      .yields(phone(null))
    given(begun)
      .when(changePhone({ phone: null, bearer, at }))
      .yields()
  })
  it('is not changed in the name of a session that is over', () =>
    given(begun, ended)
      .when(changePhone({ phone: null, bearer, at }))
      .rejects('session-ended'))
})

describe('consents', () => {
  const user = scenario(userDecider)
  const agreed: NewEvent<'user.consent_given'> = {
    type: 'user.consent_given',
    data: { userId, consent: 'product-news' },
  }
  const withdrawn: NewEvent<'user.consent_withdrawn'> = {
    type: 'user.consent_withdrawn',
    data: { userId, consent: 'product-news' },
  }
  const change = (isGiven: boolean) => changeConsents({ consents: { 'product-news': isGiven }, bearer, at })
  it('are none unless given', () => {
    user(begun).when(change(false)).yields()
    user(begun).when(change(true)).yields(agreed)
  })
  it('are recorded once, with their time', () => {
    user(begun, agreed).when(change(true)).yields()
    expect(user(begun, { ...agreed, at }).state).toMatchObject({ consents: { 'product-news': at } })
  })
  it('are withdrawn, and can be given again', () => {
    user(begun, agreed).when(change(false)).yields(withdrawn)
    user(begun, agreed, withdrawn).when(change(true)).yields(agreed)
  })
  it('stay as they are where they are not named', () =>
    user(begun, agreed)
      .when(changeConsents({ consents: {}, bearer, at }))
      .yields())
})

describe('the latest challenge', () => {
  const latest = scenario(latestChallengeDecider)
  const input = { challengeId: '66666666-6666-4666-8666-666666666666', purpose: 'password-reset' as const, userId }
  const made: NewEvent<'challenge.made_latest'> = { type: 'challenge.made_latest', data: input }
  const another = { ...input, challengeId: '77777777-7777-4777-8777-777777777777' }
  it('is the one that came last', () => {
    latest().when(makeLatest(input)).yields(made)
    latest(made).when(makeLatest(another)).yields({ type: 'challenge.made_latest', data: another })
  })
  it('is made so once', () => latest(made).when(makeLatest(input)).yields())
})
