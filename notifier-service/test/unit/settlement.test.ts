import { describe, expect, it } from '@jest/globals'
import { outcomeOfFailure as smtpOutcome, mailDomainOf } from '../../src/channels/email/smtp'
import { outcomeOfFailure as smsOutcome } from '../../src/channels/sms/twilio'
import type { Outcome } from '../../src/vocabulary'
import { emailRetrySchedule, smsRetrySchedule, waitMsAfter } from '../../src/delivery/schedule'
import { settlementOf } from '../../src/delivery/settlement'

describe('the retry schedule', () => {
  it('waits what it says after each attempt, then gives up', () => {
    const waits = [1, 2, 3, 4].map((attempt) => waitMsAfter([5, 60, 600], attempt, 0))
    expect(waits).toEqual([5_000, 60_000, 600_000, undefined])
  })
  it('lengthens a wait by a quarter at most', () => {
    expect(waitMsAfter([100], 1, 1)).toBe(125_000)
    expect(waitMsAfter([100], 1, 0.5)).toBe(112_500)
  })
  it('spaces attempts ever wider', () => {
    for (const schedule of [emailRetrySchedule, smsRetrySchedule])
      expect([...schedule].sort((a, b) => a - b)).toEqual([...schedule])
  })
})

describe('settling an attempt', () => {
  const mail = { schedule: [5, 60], repeatUnknown: true }
  const sms = { schedule: [5, 60], repeatUnknown: false }
  const accepted: Outcome = { kind: 'accepted', code: '250' }
  const rejected: Outcome = { kind: 'rejected', code: '550' }
  const transient: Outcome = { kind: 'transient', code: '451', about: 'message' }
  const unknown: Outcome = { kind: 'unknown', code: 'ETIMEDOUT' }
  const first = { attempt: 1, doubt: false }
  const last = { attempt: 3, doubt: false }

  it('ends with an acceptance', () => {
    expect(settlementOf(mail, first, accepted, 0)).toEqual({ state: 'accepted', reason: '250' })
    expect(settlementOf(mail, { attempt: 3, doubt: true }, accepted, 0).state).toBe('accepted')
  })
  it('ends with a rejection, without another attempt', () => {
    expect(settlementOf(mail, first, rejected, 0)).toEqual({ state: 'rejected', reason: '550' })
  })
  it('repeats what was put off, until the schedule ends', () => {
    expect(settlementOf(mail, first, transient, 0)).toEqual({
      state: 'pending',
      reason: '451',
      waitMs: 5_000,
    })
    expect(settlementOf(mail, last, transient, 0)).toEqual({ state: 'exhausted', reason: '451' })
  })
  it('repeats a mail whose fate is unknown, since it carries the same Message-ID', () => {
    expect(settlementOf(mail, first, unknown, 0)).toMatchObject({ state: 'pending' })
  })
  it('never repeats a text message whose fate is unknown', () => {
    expect(settlementOf(sms, first, unknown, 0)).toEqual({ state: 'unknown', reason: 'ETIMEDOUT' })
  })
  it('repeats a text message that was certainly not taken', () => {
    expect(settlementOf(sms, first, transient, 0)).toMatchObject({ state: 'pending' })
  })
  it('never calls a delivery failed that may have arrived earlier', () => {
    const doubtful = { attempt: 3, doubt: true }
    expect(settlementOf(mail, doubtful, rejected, 0).state).toBe('unknown')
    expect(settlementOf(mail, doubtful, transient, 0).state).toBe('unknown')
    expect(settlementOf(mail, last, unknown, 0).state).toBe('unknown')
  })
})

describe('what a failure of SMTP proves', () => {
  it.each([
    ['no connection', { code: 'ECONNREFUSED', command: 'CONN' }, false, { kind: 'transient', about: 'channel' }],
    ['silence before the body', { code: 'ETIMEDOUT', command: 'CONN' }, false, { kind: 'transient', about: 'channel' }],
    ['silence after the body', { code: 'ETIMEDOUT', command: 'CONN' }, true, { kind: 'unknown' }],
    ['a connection lost after the body', { code: 'ECONNECTION', command: 'CONN' }, true, { kind: 'unknown' }],
    [
      'a refused recipient',
      { code: 'EENVELOPE', command: 'RCPT TO', responseCode: 550 },
      false,
      { kind: 'rejected', code: '550' },
    ],
    [
      'a refused body',
      { code: 'EMESSAGE', command: 'DATA', responseCode: 554 },
      true,
      { kind: 'rejected', code: '554' },
    ],
    [
      'a full mailbox',
      { code: 'EENVELOPE', command: 'RCPT TO', responseCode: 452 },
      false,
      { kind: 'transient', about: 'message' },
    ],
    [
      'a server going away',
      { code: 'EMESSAGE', command: 'DATA', responseCode: 421 },
      true,
      { kind: 'transient', about: 'channel' },
    ],
    [
      'refused credentials',
      { code: 'EAUTH', command: 'AUTH PLAIN', responseCode: 535 },
      false,
      { kind: 'transient', about: 'channel' },
    ],
    [
      'a refused sender',
      { code: 'EENVELOPE', command: 'MAIL FROM', responseCode: 550 },
      false,
      { kind: 'transient', about: 'channel' },
    ],
  ])('%s', (_, failure, bodySent, expected) => {
    expect(smtpOutcome(failure, bodySent)).toMatchObject(expected)
  })

  it('keeps nothing of the server’s words', () => {
    const failure = Object.assign(new Error('550 <a@b.example>: no such user'), {
      command: 'RCPT TO',
      responseCode: 550,
      response: '550 5.1.1 <a@b.example> no such user',
    })
    expect(JSON.stringify(smtpOutcome(failure, false))).not.toContain('b.example')
  })

  it('finds the domain of a sender', () => {
    expect(mailDomainOf('Annals <no-reply@Annals.example>')).toBe('annals.example')
    expect(mailDomainOf('no-reply@annals.example')).toBe('annals.example')
    expect(mailDomainOf('nobody')).toBeUndefined()
  })
})

describe('what a failure of Twilio proves', () => {
  it.each([
    ['no connection', { code: 'ECONNREFUSED' }, { kind: 'transient', about: 'channel' }],
    ['a connection lost', { code: 'ECONNRESET' }, { kind: 'unknown' }],
    ['silence', { code: 'ECONNABORTED' }, { kind: 'unknown' }],
    ['a server error', { status: 500, code: 20500 }, { kind: 'unknown' }],
    ['a gateway error', { status: 502 }, { kind: 'unknown' }],
    ['too many requests', { status: 429, code: 20429 }, { kind: 'transient', about: 'channel' }],
    ['refused credentials', { status: 401, code: 20003 }, { kind: 'transient', about: 'channel' }],
    ['an impossible number', { status: 400, code: 21211 }, { kind: 'rejected', code: '21211' }],
    ['an error without a shape', {}, { kind: 'unknown' }],
  ])('%s', (_, failure, expected) => {
    expect(smsOutcome(failure)).toMatchObject(expected)
  })
})
