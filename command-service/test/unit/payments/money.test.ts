import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import {
  currencyExponents,
  formatMoney,
  parseMoney,
  paymentMinorMax,
  type CurrencyCode,
  type Money,
} from '@annals/contracts'

const currency = fc.constantFrom(...(Object.keys(currencyExponents) as CurrencyCode[]))
const minor = fc.integer({ min: 0, max: paymentMinorMax })

describe('money', () => {
  it('comes back as it was written, in every currency and for every amount that a payment may be', () =>
    fc.assert(
      fc.property(currency, minor, (currency, minor) => {
        expect(parseMoney(formatMoney({ minor, currency }), currency)).toEqual({ minor, currency })
      }),
    ))

  it('is the same however many of its trailing zeros are written', () =>
    fc.assert(
      fc.property(currency, fc.integer({ min: 0, max: 999_999_999 }), (currency, whole) => {
        const places = currencyExponents[currency]
        const written = Array.from({ length: places + 2 }, (_, i) => `${whole}.${'0'.repeat(i + 1)}`)
        for (const text of [String(whole), ...written])
          expect(parseMoney(text, currency)).toEqual({ minor: whole * 10 ** places, currency })
      }),
    ))

  it('never rounds: a place more than the currency has is refused', () =>
    fc.assert(
      fc.property(currency, minor, fc.integer({ min: 1, max: 9 }), (currency, minor, digit) => {
        const exact = formatMoney({ minor, currency })
        const finer = exact.includes('.') ? `${exact}${digit}` : `${exact}.${digit}`
        expect(parseMoney(finer, currency)).toBe('too-fine')
      }),
    ))

  it('adds up as integers do', () =>
    fc.assert(
      fc.property(currency, fc.array(fc.integer({ min: 0, max: 10 ** 9 }), { maxLength: 50 }), (currency, parts) => {
        const sum = parts
          .map((part) => (parseMoney(formatMoney({ minor: part, currency }), currency) as Money).minor)
          .reduce((total, part) => total + part, 0)
        expect(sum).toBe(parts.reduce((total, part) => total + part, 0))
      }),
    ))

  it.each(['', '.5', '1.', '-1', '+1', '1e3', '1,000.00', ' 1', '0x10', '١', 'NaN', 'Infinity', '1.2.3'])(
    'refuses %p',
    (text) => expect(parseMoney(text, 'USD')).toBe('no-amount'),
  )

  it('is refused when it is one more than a payment may be', () =>
    fc.assert(
      fc.property(currency, fc.bigInt({ min: BigInt(paymentMinorMax) + 1n, max: 10n ** 30n }), (currency, minor) => {
        expect(parseMoney(formatMoney({ minor, currency }), currency)).toBe('too-large')
      }),
    ))
})
