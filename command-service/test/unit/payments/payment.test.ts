import { describe, expect, it } from '@jest/globals'
import { paymentMinorMax, type NewEvent } from '@annals/contracts'
import * as fc from 'fast-check'
import { createPayment, mayCharge, paymentDecider, settle, startProcessing } from '../../../src/payments/domain/payment'
import { Rejected } from '../../../src/core/rejected'
import { scenario } from '../../support/scenario'

const given = scenario(paymentDecider)
const paymentId = '11111111-1111-4111-8111-111111111111'
const owner = '22222222-2222-4222-8222-222222222222'
const other = '33333333-3333-4333-8333-333333333333'
const amount = { minor: 1250, currency: 'EUR' } as const
const method = { type: 'card', token: 'tok_visa' } as const
const order = { paymentId, userId: owner, amount, method, description: 'tea' }
const gatewayKeyOf = (attempt: number) => `charge-${attempt}`
const by = (userId: string, mayProcessAll = false) => ({ by: { userId, mayProcessAll }, gatewayKeyOf })

const created: NewEvent<'payment.created'> = { type: 'payment.created', data: order }
const asked = { paymentId, userId: owner, attempt: 1, gatewayKey: 'charge-1' }
const started: NewEvent<'payment.process_started'> = { type: 'payment.process_started', data: asked }
const unknown: NewEvent<'payment.outcome_unknown'> = { type: 'payment.outcome_unknown', data: asked }
const outcome = { paymentId, userId: owner, attempt: 1, amount }
const processed: NewEvent<'payment.processed'> = {
  type: 'payment.processed',
  data: { ...outcome, gatewayReference: 'ch_1' },
}
const failed: NewEvent<'payment.failed'> = { type: 'payment.failed', data: { ...outcome, code: 'card-declined' } }

const charged = { outcome: 'charged', reference: 'ch_1' } as const
const refused = { outcome: 'refused', code: 'card-declined' } as const
const silence = { outcome: 'unknown' } as const

describe('creating a payment', () => {
  it('records what is to be paid', () => given().when(createPayment(order)).yields(created))
  it('does nothing when repeated', () => given(created).when(createPayment(order)).yields())
  it('takes the largest amount, and refuses one more', () => {
    const of = (minor: number) => ({ ...order, amount: { ...amount, minor } })
    given()
      .when(createPayment(of(paymentMinorMax)))
      .yields({ type: 'payment.created', data: of(paymentMinorMax) })
    given()
      .when(createPayment(of(paymentMinorMax + 1)))
      .rejects('amount-too-large')
  })
  it('goes on with a larger one that was made before there was a largest', () =>
    given({ ...created, data: { ...order, amount: { ...amount, minor: Number.MAX_SAFE_INTEGER } } })
      .when(startProcessing(by(owner)))
      .yields(started))
  it('refuses the number of a card in every text of it', () => {
    for (const change of [
      { description: 'my card is 4242 4242 4242 4242' },
      { method: { type: 'card', token: 'tok_4242424242424242' } },
    ] as const)
      given()
        .when(createPayment({ ...order, ...change }))
        .rejects('card-number-refused')
  })
  it('goes on with one that holds a card number from before they were refused', () => {
    const old = { ...order, description: '4242 4242 4242 4242' }
    given({ ...created, data: old })
      .when(createPayment(old))
      .yields()
    given({ ...created, data: old })
      .when(startProcessing(by(owner)))
      .yields(started)
  })
  it('does nothing to a payment that has gone on', () => given(created, started).when(createPayment(order)).yields())
})

describe('processing a payment', () => {
  it('names the charge before the payment gateway is asked', () =>
    given(created)
      .when(startProcessing(by(owner)))
      .yields(started))
  it('does nothing while an attempt is under way', () =>
    given(created, started)
      .when(startProcessing(by(owner)))
      .yields())
  it('makes no second attempt while the first is unknown', () =>
    given(created, started, unknown)
      .when(startProcessing(by(owner)))
      .yields())
  it('does nothing to a completed payment', () =>
    given(created, started, processed)
      .when(startProcessing(by(owner)))
      .yields())
  it('refuses a payment that the payment gateway refused', () =>
    given(created, started, failed)
      .when(startProcessing(by(owner)))
      .rejects('payment-not-processable'))
  it('refuses a payment that was never created', () =>
    given()
      .when(startProcessing(by(owner)))
      .rejects('payment-not-found'))
  it("does not show another person's payment", () =>
    given(created)
      .when(startProcessing(by(other)))
      .rejects('payment-not-found'))
  it("does not show another person's completed payment either", () =>
    given(created, started, processed)
      .when(startProcessing(by(other)))
      .rejects('payment-not-found'))
  it('lets an administrator process it, as a charge to its owner', () =>
    given(created)
      .when(startProcessing(by(other, true)))
      .yields(started))
})

describe('settling a payment', () => {
  it('completes it by proof of a charge', () => given(created, started).when(settle(charged)).yields(processed))
  it('fails it by proof of a refusal', () => given(created, started).when(settle(refused)).yields(failed))
  it('leaves it unknown without proof', () => given(created, started).when(settle(silence)).yields(unknown))
  it('completes an unknown one by proof', () =>
    given(created, started, unknown).when(settle(charged)).yields(processed))
  it('fails an unknown one by proof', () => given(created, started, unknown).when(settle(refused)).yields(failed))
  it('says once that it is unknown', () => given(created, started, unknown).when(settle(silence)).yields())
  it('completes once', () => given(created, started, processed).when(settle(charged)).yields())
  it('fails once', () => given(created, started, failed).when(settle(refused)).yields())
  it('never turns a completed payment into a failed one', () =>
    given(created, started, processed).when(settle(refused)).yields())
  it('never makes a settled payment unknown', () => given(created, started, failed).when(settle(silence)).yields())
  it('refuses a payment never begun', () => given(created).when(settle(charged)).rejects('payment-not-processable'))
  it('refuses a payment never created', () => given().when(settle(charged)).rejects('payment-not-found'))
})

describe('asking the payment gateway again', () => {
  const begun = '2026-03-01T12:00:00.000Z'
  const after = (ms: number) => new Date(Date.parse(begun) + ms).toISOString()
  const keyHours = 23
  const keyMs = keyHours * 3_600_000

  it.each([
    ['at once', 0, true],
    ['in the last millisecond of its key', keyMs - 1, true],
    ['when its key may have been forgotten', keyMs, false],
    ['a year later', 365 * 24 * 3_600_000, false],
    ['by a process whose clock is behind', -60_000, true],
  ])('%s', (_, ms, may) => expect(mayCharge({ begunAt: begun }, { at: after(ms), keyHours })).toBe(may))

  it('counts from when the attempt began, not from when its outcome was found to be unknown', () => {
    const at = (event: NewEvent<'payment.process_started' | 'payment.outcome_unknown'>, ms: number) => ({
      ...event,
      at: after(ms),
    })
    expect(given(created, at(started, 0)).state).toMatchObject({ begunAt: begun })
    expect(given(created, at(started, 0), at(unknown, keyMs)).state).toMatchObject({
      status: 'unknown',
      begunAt: begun,
    })
  })
})

it('has four events at most, however often it is processed and whatever the payment gateway says', () => {
  const inputs = fc.constantFrom(startProcessing(by(owner)), settle(charged), settle(refused), settle(silence))
  fc.assert(
    fc.property(fc.array(inputs, { maxLength: 50 }), (decisions) => {
      const events: NewEvent<'payment.created'>[] = [created]
      for (const decide of decisions) {
        try {
          events.push(...(decide(given(...events).state) as never[]))
        } catch (error) {
          expect(error).toBeInstanceOf(Rejected)
        }
      }
      expect(events.length).toBeLessThanOrEqual(4)
    }),
  )
})

it('folds facts of which it has not seen the beginning without failing', () => {
  expect(given(processed).state).toEqual({ status: 'none' })
})
