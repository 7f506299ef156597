import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { CreatePaymentRequest, descriptionForm, holdsCardNumber } from '@annals/contracts'

/** Numbers that networks and payment gateways publish for tests; they belong to nobody. */
const visa = '4242424242424242'
const published = [
  visa,
  '4222222222222',
  '4000000000000000006',
  '5555555555554444',
  '2223003122003222',
  '2720990000000007',
  '378282246310005',
  '6011111111111117',
  '6304000000000000',
  '30569309025904',
  '36227206271667',
  '3566002020360505',
  '6205500000000000004',
  '2200000000000004',
]

describe('a card number', () => {
  it.each(published)('is found: %s', (number) => {
    expect(holdsCardNumber(number)).toBe(true)
    expect(holdsCardNumber(`paid with ${number}, thanks`)).toBe(true)
    expect(holdsCardNumber(`tok_${number}`)).toBe(true)
  })

  it.each([
    '4242 4242 4242 4242',
    '4242-4242-4242-4242',
    '4242.4242.4242.4242',
    '4242_4242_4242_4242',
    '4242 - 4242 - 4242 - 4242',
    '42 42 42 42 42 42 42 42',
    '4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2',
    '3782 822463 10005',
    '2026-11-27 4242 4242 4242 4242 12/29 123',
    'card4242424242424242valid',
    '4242\u00a04242\u20114242\u20094242',
    '4242\u200b4242\u200d4242\u20604242',
    '4242\n4242\n4242\n4242',
    '４２４２４２４２４２４２４２４２',
    '٤٢٤٢ ٤٢٤٢ ٤٢٤٢ ٤٢٤٢',
    '𝟜𝟚𝟜𝟚𝟜𝟚𝟜𝟚𝟜𝟚𝟜𝟚𝟜𝟚𝟜𝟚',
  ])('is found as %j', (text) => expect(holdsCardNumber(text)).toBe(true))

  it.each([
    'tea',
    'tok_visa',
    'invoice 2026-0042 of 27.11.2026, 12.50 EUR',
    '4242424242424241',
    '1234567890123452',
    '424242424242',
    `${visa}4242`,
    `1${visa}`,
    '4242 of 4242 in 4242 to 4242',
    'IBAN DE89 3704 0044 0532 0130 00',
    '+49 30 901820 and +1 800 555 0199',
    '00000000-0000-0000-0000-000000000000',
    '0'.repeat(500),
    '',
  ])('is not found in %j', (text) => expect(holdsCardNumber(text)).toBe(false))

  it('is refused with any digit changed', () =>
    fc.assert(
      fc.property(fc.constantFrom(...published), fc.nat(18), fc.integer({ min: 1, max: 9 }), (number, at, by) => {
        const i = at % number.length
        const changed = number.slice(0, i) + ((Number(number[i]) + by) % 10) + number.slice(i + 1)
        expect(holdsCardNumber(changed)).toBe(false)
      }),
    ))

  it('is looked for in a bounded time, whatever the text', () => {
    const startedAt = performance.now()
    for (const unit of ['4 ', '4\u200b', '42424242 ', '4', ' ', '٤ ']) holdsCardNumber(unit.repeat(descriptionForm.max))
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})

describe('a request for a payment', () => {
  const request = { amount: '1.00', currency: 'EUR', method: { type: 'card', token: 'tok_visa' }, description: 'tea' }
  const faultsOf = (change: object) => CreatePaymentRequest.safeParse({ ...request, ...change }).error?.issues

  it('names the field that holds a card number, and not the number', () => {
    for (const [change, path] of [
      [{ description: `card ${visa}` }, ['description']],
      [{ method: { type: 'card', token: `tok_${visa}` } }, ['method', 'token']],
    ] as const) {
      const issues = faultsOf(change)
      expect(issues).toMatchObject([{ path, message: 'must not contain the number of a payment card' }])
      expect(JSON.stringify(issues)).not.toContain(visa)
    }
    expect(faultsOf({})).toBeUndefined()
  })
})
