import { describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import type { AnnalsEvent } from '@annals/contracts'
import { deliveryIdOf } from '../../src/deliveries/intents'
import { eventTypesOf, knownTypes, readRecord } from '../../src/intake/read-record'
import { skipReasonOf } from '../../src/intake/admission'
import { intentsOf, rules } from '../../src/rules/rules'
import { challenged, fact, failed, people, processed, registered, type Fact } from '../support/facts'

const crowd = people()
const eventTypes = { known: knownTypes, wanted: eventTypesOf(rules) }
const toRecord = ({ record }: Fact) => ({
  offset: 0n,
  key: record.key,
  value: Buffer.from(record.value!),
  headers: Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, Buffer.from(value)])),
  timestamp: 0,
})
const read = (made: Fact) => readRecord(toRecord(made), eventTypes)
function eventOf(made: Fact): AnnalsEvent {
  const result = read(made)
  if (result.kind !== 'apply') throw new Error(`not to be applied: ${JSON.stringify(result.kind)}`)
  return result.event
}

describe('rules', () => {
  it('welcomes who registered', () => {
    const made = registered(crowd)
    expect(intentsOf(rules, eventOf(made))).toEqual([
      { rule: 'welcome', recipient: made.userId, channel: 'email', template: 'welcome.v2', data: {} },
    ])
  })

  it('confirms a processed payment with its decimal amount', () => {
    const userId = randomUUID()
    const made = processed(crowd, userId, { at: '2026-11-23T10:00:00Z' })
    expect(intentsOf(rules, eventOf(made))).toEqual([
      {
        rule: 'payment-confirmation',
        recipient: userId,
        channel: 'email',
        template: 'payment-confirmation.v2',
        data: { paymentId: made.paymentId, amount: '12.50', currency: 'EUR', at: '2026-11-23T10:00:00Z' },
      },
    ])
  })

  it('tells of a failed payment, and why', () => {
    const made = failed(crowd, randomUUID())
    const [intent, ...more] = intentsOf(rules, eventOf(made))
    expect(more).toEqual([])
    expect(intent).toMatchObject({
      rule: 'payment-failed',
      data: { amount: '0.99', currency: 'USD', code: 'card-declined' },
    })
  })

  it('puts each challenge to its channel, in the words of its purpose, and no secret into the intent', () => {
    const made = challenged(crowd, { purpose: 'step-up', channel: 'sms', to: '+14155550100', code: '271828' })
    const intents = intentsOf(rules, eventOf(made))
    expect(intents).toEqual([
      { rule: 'step-up-sms', recipient: made.challengeId, channel: 'sms', template: 'step-up-sms.v1', data: {} },
    ])
  })

  it('tells nobody of an erasure that an administrator disabled the account', () => {
    const userId = randomUUID()
    const intentsFor = (reason: 'administrator' | 'erasure-requested') =>
      intentsOf(
        rules,
        eventOf(
          fact({ type: 'user.disabled', data: { userId, epoch: 2, reason } }, crowd, { stream: `user-${userId}` }),
        ),
      ).map(({ rule }) => rule)
    expect(intentsFor('administrator')).toEqual(['account-disabled'])
    expect(intentsFor('erasure-requested')).toEqual([])
  })

  it('puts no personal data into an intent', () => {
    const made = registered(crowd, { email: 'secret@people.example', name: 'Secret Name' })
    expect(JSON.stringify(intentsOf(rules, eventOf(made)))).not.toMatch(/secret/i)
  })

  it('has one name per rule', () => {
    expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length)
  })

  it('derives the same delivery id for the same event, and another for another rule or event', () => {
    const event = eventOf(registered(crowd))
    const [intent] = intentsOf(rules, event)
    const id = deliveryIdOf({ intent: intent!, event })
    expect(deliveryIdOf({ intent: { ...intent! }, event: { ...event } })).toBe(id)
    expect(deliveryIdOf({ intent: { ...intent!, rule: 'other' }, event })).not.toBe(id)
    expect(deliveryIdOf({ intent: intent!, event: { ...event, id: randomUUID() } })).not.toBe(id)
  })
})

describe('reading a record', () => {
  it('never opens what is sealed', () => {
    expect(eventOf(registered(crowd)).data).toMatchObject({ email: null, name: null, locale: 'en' })
  })

  it('passes by what no rule asks for', () => {
    const userId = randomUUID()
    const made = fact({ type: 'user.role_granted', data: { userId, role: 'admin' } }, crowd, {
      stream: `user-${userId}`,
    })
    expect(read(made)).toMatchObject({ kind: 'pass' })
  })

  it('sets aside a type that nobody here knows', () => {
    const made = registered(crowd)
    made.record.headers['ce_type'] = 'user.teleported'
    expect(read(made)).toMatchObject({ kind: 'unknown-type', at: { id: made.id, type: 'user.teleported' } })
  })

  it('waits for a newer release at a newer version', () => {
    const made = registered(crowd, {}, { metadata: { schemaVersion: 9 } })
    expect(read(made)).toMatchObject({ kind: 'newer', at: { type: 'user.registered' }, version: 9 })
  })

  it('does not wait at a newer version of what no rule asks for', () => {
    const userId = randomUUID()
    const made = fact({ type: 'user.role_granted', data: { userId, role: 'admin' } }, crowd, {
      stream: `user-${userId}`,
      metadata: { schemaVersion: 9 },
    })
    expect(read(made).kind).toBe('pass')
  })

  it('parks what is no event of ours', () => {
    const made = registered(crowd)
    delete made.record.headers['ce_id']
    expect(read(made)).toMatchObject({ kind: 'park', at: undefined })
  })

  it('parks a known version whose content is wrong', () => {
    const made = processed(crowd, randomUUID(), { data: { amount: { minor: -1, currency: 'EUR' } } })
    expect(read(made)).toMatchObject({ kind: 'park', at: { id: made.id } })
  })
})

describe('admission', () => {
  const now = Date.parse('2026-11-23T10:00:00Z')
  const policy = { from: Date.parse('2026-11-01T00:00:00Z'), ageMsMax: 72 * 3_600_000 }

  it('sends for what just happened, and for what is exactly as old as allowed', () => {
    expect(skipReasonOf(policy, '2026-11-23T09:59:59Z', now)).toBeUndefined()
    expect(skipReasonOf(policy, '2026-11-20T10:00:00Z', now)).toBeUndefined()
  })
  it('skips what is too old', () => {
    expect(skipReasonOf(policy, '2026-11-20T09:59:59Z', now)).toBe('too-old')
  })
  it('skips what was before this notifier', () => {
    expect(skipReasonOf(policy, '2026-10-31T23:59:59Z', now)).toBe('before-start')
  })
  it('sends for a fact of a clock that runs ahead', () => {
    expect(skipReasonOf({ ...policy, from: undefined }, '2026-11-23T10:01:00Z', now)).toBeUndefined()
  })
})
