import { describe, expect, it } from '@jest/globals'
import type { NewEvent } from '@annals/contracts'
import {
  begin,
  end,
  endOwn,
  refresh,
  refreshBurst,
  refreshEveryMs,
  refreshGraceMs,
  sessionDecider,
  stepUp,
  type Begin,
} from '../../../src/sessions/domain/session'
import { scenario } from '../../support/scenario'

const given = scenario(sessionDecider)
type Past = Parameters<typeof sessionDecider.evolve>[1]
const sessionId = '11111111-1111-4111-8111-111111111111'
const userId = '22222222-2222-4222-8222-222222222222'
const at = '2026-03-01T12:00:00.000Z'
const later = (ms: number) => new Date(Date.parse(at) + ms).toISOString()
const expiresAt = later(3_600_000)

const input: Begin = {
  sessionId,
  userId,
  methods: ['password'],
  epoch: 1,
  ip: '127.0.0.1',
  userAgent: 'test',
  expiresAt,
}
const loggedIn: NewEvent<'user.login'> & { at: string } = {
  type: 'user.login',
  data: input,
  at,
}
const refreshed = (
  generation: number,
  when = at,
  authenticatedAt = at,
): NewEvent<'session.refreshed'> & { at: string } => ({
  type: 'session.refreshed',
  data: { sessionId, userId, generation, authenticatedAt },
  at: when,
})
const ended = (reason: 'logout' | 'owner' | 'refresh-token-reused'): NewEvent<'session.ended'> => ({
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

describe('refreshing a session very often', () => {
  const spent = refreshBurst + 1
  it('is let through for a while, at any speed', () =>
    given(loggedIn, refreshed(spent - 1))
      .when(refresh({ generation: spent - 1, at }))
      .yields(undated(refreshed(spent))))
  it('then records nothing, and leaves the token in force', () =>
    given(loggedIn, refreshed(spent))
      .when(refresh({ generation: spent, at: later(refreshEveryMs - 1) }))
      .yields())
  it('records one more each minute of its age', () => {
    const now = later(refreshEveryMs)
    given(loggedIn, refreshed(spent))
      .when(refresh({ generation: spent, at: now }))
      .yields(undated(refreshed(spent + 1)))
    given(loggedIn, refreshed(spent + 1, now))
      .when(refresh({ generation: spent + 1, at: now }))
      .yields()
  })
  it('does not let a clock that goes back take away what was allowed', () =>
    given(loggedIn)
      .when(refresh({ generation: 1, at: later(-86_400_000) }))
      .yields(undated(refreshed(2))))
  it('still ends the session when a used token comes back', () =>
    given(loggedIn, refreshed(spent))
      .when(refresh({ generation: spent - 2, at }))
      .yields(ended('refresh-token-reused')))
  it('writes a bounded number of events, whoever refreshes as fast as they can', () => {
    let state = given(loggedIn).state
    let events = 0
    for (let ms = 0; ms < 3_600_000; ms += 500) {
      if (state.status !== 'active') throw new Error('the session has ended')
      for (const event of refresh({ generation: state.generation, at: later(ms) })(state)) {
        events++
        state = sessionDecider.evolve(state, { ...event, at: later(ms) } as Past)
      }
    }
    expect(events).toBe(refreshBurst + 59)
  })
})

const steppedUp = (generation: number, issuedAt: string, when: string) => ({
  type: 'session.stepped_up' as const,
  data: { sessionId, userId, methods: ['password' as const], generation, issuedAt },
  at: when,
})

describe('showing again who one is', () => {
  it('records it beside the token in force', () =>
    given(loggedIn, refreshed(2, later(1)))
      .when(stepUp({ methods: ['password'] }))
      .yields(undated(steppedUp(2, later(1), at))))
  it('is carried on by the refreshes that follow', () =>
    given(loggedIn, refreshed(2, later(1)), steppedUp(2, later(1), later(5)))
      .when(refresh({ generation: 2, at: later(6) }))
      .yields(undated(refreshed(3, later(6), later(5)))))
  it('leaves the grace of a lost answer as it was', () =>
    given(loggedIn, refreshed(2, later(1)), steppedUp(2, later(1), later(5)))
      .when(refresh({ generation: 1, at: later(refreshGraceMs + 2) }))
      .yields(ended('refresh-token-reused')))
  it('is refused once the session has ended', () =>
    given(loggedIn, ended('logout'))
      .when(stepUp({ methods: ['totp'] }))
      .rejects('session-ended'))
})

describe('the first and the last event of a session', () => {
  const all = [
    loggedIn,
    refreshed(2, later(1)),
    refreshed(3, later(2)),
    steppedUp(3, later(2), later(3)),
    refreshed(4, later(4), later(3)),
    ended('logout'),
  ]
  it.each(all.map((_, i) => i))('say as much as all up to number %i', (last) => {
    const whole = all.slice(0, last + 1)
    const two = last === 0 ? [loggedIn] : [loggedIn, all[last]!]
    expect(given(...two).state).toEqual(given(...whole).state)
  })
})

describe('ending one of one’s own sessions', () => {
  it('records that its owner did', () => given(loggedIn).when(endOwn({ userId })).yields(ended('owner')))
  it('does nothing when repeated, or when it has ended otherwise', () =>
    given(loggedIn, ended('logout')).when(endOwn({ userId })).yields())
  it('refuses a session of somebody else as one that never was, whether it goes on or not', () => {
    for (const session of [given(), given(loggedIn), given(loggedIn, ended('logout'))])
      session.when(endOwn({ userId: '33333333-3333-4333-8333-333333333333' })).rejects('session-not-found')
  })
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
