import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import type { NewEvent } from '@annals/contracts'
import { createChallengeSecrets } from '../../../src/accounts/challenge-secrets'
import { answer, challengeDecider, guessesMax, issue, voidChallenge } from '../../../src/accounts/domain/challenge'
import { scenario } from '../../support/scenario'

const given = scenario(challengeDecider)
const challengeId = '11111111-1111-4111-8111-111111111111'
const purpose = 'password-reset' as const
const at = '2026-03-01T12:00:00.000Z'
const expiresAt = '2026-03-01T12:10:00.000Z'
const input: NewEvent<'challenge.issued'>['data'] = {
  challengeId,
  purpose,
  userId: null,
  epoch: null,
  about: null,
  channel: 'email',
  locale: 'en',
  to: 'a@example.org',
  code: '123456',
  token: null,
  expiresAt,
}
const issued: NewEvent<'challenge.issued'> = { type: 'challenge.issued', data: input }
const guessed = (guess: number): NewEvent<'challenge.guessed'> => ({
  type: 'challenge.guessed',
  data: { challengeId, guess },
})
const answered: NewEvent<'challenge.answered'> = {
  type: 'challenge.answered',
  data: { challengeId, purpose, userId: null },
}
const voided: NewEvent<'challenge.voided'> = { type: 'challenge.voided', data: { challengeId } }
const right = answer({ challengeId, purpose, isRight: true, at })
const wrong = answer({ challengeId, purpose, isRight: false, at })

describe('a challenge', () => {
  it('is issued once', () => {
    given().when(issue(input)).yields(issued)
    given(issued).when(issue(input)).yields()
  })
  it('takes the right answer', () => given(issued).when(right).yields(answered))
  it('takes the same right answer again, and records nothing: what was cut off goes on', () =>
    given(issued, answered).when(right).yields())
  it('takes no wrong answer after the right one', () => given(issued, answered).when(wrong).rejects('challenge-failed'))
  it('counts wrong answers', () => given(issued, guessed(1)).when(wrong).yields(guessed(2)))
  it('takes none, not the right one either, after too many', () =>
    given(issued, guessed(guessesMax)).when(right).rejects('challenge-failed'))
  it('still takes the right answer as the last that is borne', () =>
    given(issued, guessed(guessesMax - 1))
      .when(right)
      .yields(answered))
  it('takes none from its end on', () =>
    given(issued)
      .when(answer({ challengeId, purpose, isRight: true, at: expiresAt }))
      .rejects('challenge-failed'))
  it('takes none again from its end on', () =>
    given(issued, answered)
      .when(answer({ challengeId, purpose, isRight: true, at: expiresAt }))
      .rejects('challenge-failed'))
  it('takes none for another purpose', () =>
    given(issued)
      .when(answer({ challengeId, purpose: 'verify-email', isRight: true, at }))
      .rejects('challenge-failed'))
  it('takes none once it is void', () => given(issued, voided).when(right).rejects('challenge-failed'))
  it('takes none when there is no such challenge', () => given().when(right).rejects('challenge-failed'))
  it('is not voided after it was answered', () => given(issued, answered).when(voidChallenge({ challengeId })).yields())
})

describe('the answers', () => {
  const key = randomBytes(32)
  const secrets = createChallengeSecrets(key, 'main')
  const other = '22222222-2222-4222-8222-222222222222'
  it('are six digits, the same each time', () => {
    expect(secrets.codeOf(challengeId)).toMatch(/^\d{6}$/)
    expect(createChallengeSecrets(key, 'main').codeOf(challengeId)).toBe(secrets.codeOf(challengeId))
    expect(secrets.isCode(challengeId, secrets.codeOf(challengeId))).toBe(true)
  })
  it('differ by challenge, tenant and key', () => {
    const tokens = [
      secrets.tokenOf(challengeId),
      secrets.tokenOf(other),
      createChallengeSecrets(key, 'other').tokenOf(challengeId),
      createChallengeSecrets(randomBytes(32), 'main').tokenOf(challengeId),
    ]
    expect(new Set(tokens.map((token) => token.split('.')[1])).size).toBe(tokens.length)
  })
  it('are read back from a link', () => expect(secrets.readToken(secrets.tokenOf(challengeId))).toBe(challengeId))
  it.each([
    ['of another challenge', () => secrets.tokenOf(challengeId).replace(challengeId, other)],
    ['of another tenant', () => createChallengeSecrets(key, 'other').tokenOf(challengeId)],
    ['without a mac', () => `${challengeId}.`],
    ['that is no token', () => '\0'],
    ['with more behind it', () => `${secrets.tokenOf(challengeId)}=`],
  ])('are not read from a token %s', (_, token) => expect(secrets.readToken(token())).toBeUndefined())
  it.each(['', '12345', '1234567', '１２３４５６', ' 12345'])('are not the code %j', (code) =>
    expect(secrets.isCode(challengeId, code)).toBe(false),
  )
})
