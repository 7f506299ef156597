import { describe, expect, it } from '@jest/globals'
import type { NewEvent } from '@annals/contracts'
import { begin, end, refresh, refreshGraceMs, sessionDecider } from '../../src/domain/session'
import { scenario } from '../support/scenario'

const given = scenario(sessionDecider)
const sessionId = '11111111-1111-4111-8111-111111111111'
const userId = '22222222-2222-4222-8222-222222222222'
const at = '2026-03-01T12:00:00.000Z'
const later = (ms: number) => new Date(Date.parse(at) + ms).toISOString()
const expiresAt = later(3_600_000)

const input = { sessionId, userId, ip: '127.0.0.1', userAgent: 'test', expiresAt }
const loggedIn: NewEvent<'user.login'> & { at: string } = {
  type: 'user.login',
  data: { ...input, method: 'password' },
  at,
}
const refreshed = (generation: number, when = at): NewEvent<'session.refreshed'> & { at: string } => ({
  type: 'session.refreshed',
  data: { sessionId, userId, generation },
  at: when,
})
const ended = (reason: 'logout' | 'refresh-token-reused'): NewEvent<'session.ended'> => ({
  type: 'session.ended',
  data: { sessionId, userId, reason },
})
const undated = <Event extends { at: string }>({ at: _at, ...event }: Event) => event

describe('beginning a session', () => {
  it('records the login', () => given().when(begin(input)).yields(undated(loggedIn)))
  it('does nothing when repeated', () => given(loggedIn).when(begin(input)).yields())
  it('does not bring an ended session back', () => given(loggedIn, ended('logout')).when(begin(input)).yields())
})

describe('refreshing a session', () => {
  it('hands out the next token', () =>
    given(loggedIn)
      .when(refresh({ generation: 1, at }))
      .yields(undated(refreshed(2))))
  it('hands out the one after that', () =>
    given(loggedIn, refreshed(2))
      .when(refresh({ generation: 2, at }))
      .yields(undated(refreshed(3))))
  it('answers a repeat of the last use again', () =>
    given(loggedIn, refreshed(2))
      .when(refresh({ generation: 1, at: later(refreshGraceMs) }))
      .yields())
  it('ends the session when a used token comes back later', () =>
    given(loggedIn, refreshed(2))
      .when(refresh({ generation: 1, at: later(refreshGraceMs + 1) }))
      .yields(ended('refresh-token-reused')))
  it('counts that time from the last use, not from the login', () =>
    given(loggedIn, refreshed(2, later(60_000)))
      .when(refresh({ generation: 1, at: later(60_001) }))
      .yields())
  it('ends the session when a token from before the last one comes back, however soon', () =>
    given(loggedIn, refreshed(2), refreshed(3))
      .when(refresh({ generation: 1, at }))
      .yields(ended('refresh-token-reused')))
  it('refuses a token that was never handed out', () =>
    given(loggedIn)
      .when(refresh({ generation: 2, at }))
      .rejects('invalid-refresh-token'))
  it('refuses when the session has expired', () =>
    given(loggedIn)
      .when(refresh({ generation: 1, at: expiresAt }))
      .rejects('session-ended'))
  it('still refreshes in the last millisecond', () =>
    given(loggedIn)
      .when(refresh({ generation: 1, at: later(3_599_999) }))
      .yields(undated(refreshed(2))))
  it('refuses an ended session', () =>
    given(loggedIn, ended('logout'))
      .when(refresh({ generation: 1, at }))
      .rejects('session-ended'))
  it('refuses a session that never was', () =>
    given()
      .when(refresh({ generation: 1, at }))
      .rejects('invalid-refresh-token'))
})

describe('ending a session', () => {
  it('records why', () =>
    given(loggedIn)
      .when(end({ reason: 'logout' }))
      .yields(ended('logout')))
  it('does nothing when repeated', () =>
    given(loggedIn, ended('logout'))
      .when(end({ reason: 'logout' }))
      .yields())
  it('keeps the reason that came first', () => {
    const session = given(loggedIn, ended('refresh-token-reused'))
    session.when(end({ reason: 'logout' })).yields()
    expect(session.state).toMatchObject({ status: 'ended', reason: 'refresh-token-reused' })
  })
  it('refuses a session that never was', () =>
    given()
      .when(end({ reason: 'logout' }))
      .rejects('session-ended'))
})
