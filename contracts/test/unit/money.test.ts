import { describe, expect, it } from '@jest/globals'
import {
  currencyExponents,
  DecimalAmount,
  formatMoney,
  parseMoney,
  paymentMinorMax,
  type CurrencyCode,
} from '@annals/contracts'

describe('money', () => {
  it.each([
    ['12.50', 'EUR', 1250],
    ['12.5', 'EUR', 1250],
    ['12', 'EUR', 1200],
    ['0.01', 'EUR', 1],
    ['500', 'JPY', 500],
    ['1.234', 'KWD', 1234],
    ['100.00', 'JPY', 100],
    ['12.500', 'EUR', 1250],
    ['0012.5', 'EUR', 1250],
    ['9999999999.99', 'EUR', paymentMinorMax],
    ['999999999.99900', 'KWD', paymentMinorMax],
    ['999999999999', 'JPY', paymentMinorMax],
  ] as const)('reads %s %s as %d minor units', (amount, currency, minor) =>
    expect(parseMoney(amount, currency)).toEqual({ minor, currency }),
  )

  it.each([
    ['12.505', 'EUR', 'too-fine'],
    ['1.5', 'JPY', 'too-fine'],
    ['0.0000000000001', 'KWD', 'too-fine'],
    ['', 'EUR', 'no-amount'],
    ['-1', 'EUR', 'no-amount'],
    ['1e3', 'EUR', 'no-amount'],
    ['10000000000.00', 'EUR', 'too-large'],
    ['10000000000.001', 'EUR', 'too-large'],
    ['1000000000', 'KWD', 'too-large'],
    ['9999999999999.999', 'KWD', 'too-large'],
    ['1000000000000', 'JPY', 'too-large'],
    ['99999999999999999999999999', 'EUR', 'too-large'],
  ] as const)('refuses %p %s: %s', (amount, currency, fault) => expect(parseMoney(amount, currency)).toBe(fault))

  it('writes back what it read, in every currency', () => {
    for (const currency of Object.keys(currencyExponents) as CurrencyCode[]) {
      for (const minor of [0, 1, 9, 10, 99, 100, 12345, 999_999_999]) {
        expect(parseMoney(formatMoney({ minor, currency }), currency)).toEqual({ minor, currency })
      }
    }
  })

  it.each(['1,50', '+1', ' 1', '1.', '.5', '1.0.0', '0x10', '1'.repeat(41)])('does not accept %p over HTTP', (text) =>
    expect(DecimalAmount.safeParse(text).success).toBe(false),
  )
})
