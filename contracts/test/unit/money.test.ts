import { describe, expect, it } from '@jest/globals'
import { currencyExponents, DecimalAmount, formatMoney, parseMoney, type CurrencyCode } from '@annals/contracts'

describe('money', () => {
  it.each([
    ['12.50', 'EUR', 1250],
    ['12.5', 'EUR', 1250],
    ['12', 'EUR', 1200],
    ['0.01', 'EUR', 1],
    ['500', 'JPY', 500],
    ['1.234', 'KWD', 1234],
  ] as const)('reads %s %s as %d minor units', (amount, currency, minor) =>
    expect(parseMoney(amount, currency)).toEqual({ minor, currency }),
  )

  it.each([
    ['12.505', 'EUR'],
    ['1.5', 'JPY'],
    ['', 'EUR'],
    ['-1', 'EUR'],
    ['1e3', 'EUR'],
    ['99999999999999999', 'EUR'],
  ] as const)('refuses %p %s', (amount, currency) => expect(parseMoney(amount, currency)).toBeUndefined())

  it('writes back what it read, in every currency', () => {
    for (const currency of Object.keys(currencyExponents) as CurrencyCode[]) {
      for (const minor of [0, 1, 9, 10, 99, 100, 12345, 999_999_999]) {
        expect(parseMoney(formatMoney({ minor, currency }), currency)).toEqual({ minor, currency })
      }
    }
  })

  it.each(['1,50', '+1', ' 1', '1.', '.5', '1.0000', '0x10'])('does not accept %p over HTTP', (text) =>
    expect(DecimalAmount.safeParse(text).success).toBe(false),
  )
})
