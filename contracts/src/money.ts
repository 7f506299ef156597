import { z } from 'zod'

/** Minor-unit digits by ISO 4217 code, as of amendment 176; a currency that is not listed is not accepted. */
// prettier-ignore
export const currencyExponents = {
  AED: 2, AUD: 2, BGN: 2, BHD: 3, BRL: 2, CAD: 2, CHF: 2, CLP: 0, CNY: 2, CZK: 2, DKK: 2, EUR: 2, GBP: 2, HKD: 2,
  HUF: 2, IDR: 2, ILS: 2, INR: 2, ISK: 0, JPY: 0, KRW: 0, KWD: 3, MXN: 2, MYR: 2, NOK: 2, NZD: 2, OMR: 3, PHP: 2,
  PLN: 2, RON: 2, SAR: 2, SEK: 2, SGD: 2, THB: 2, TND: 3, TRY: 2, TWD: 2, UAH: 2, USD: 2, VND: 0, ZAR: 2,
} as const

export type CurrencyCode = keyof typeof currencyExponents

export const Currency = z.enum(Object.keys(currencyExponents) as [CurrencyCode, ...CurrencyCode[]])

/** An amount inside the system: an integer of minor units (cents, yen, fils) and its currency. Never a float. */
export const Money = z.object({
  minor: z.int().nonnegative(),
  currency: Currency,
})
export type Money = z.infer<typeof Money>

/** The most that one payment may be, in minor units of its currency: twelve digits, as payment gateways have it. */
export const paymentMinorMax = 999_999_999_999

/** An amount as it crosses HTTP: digits, at most one point, no sign, no exponent, no thousands separator. */
export const DecimalAmount = z
  .string()
  .max(40)
  .regex(/^\d+(\.\d+)?$/, 'must be a decimal string such as "12.50"')
  .describe('Decimal string in the major unit, for example "12.50"')

/** Why a text is no amount of a currency: no decimal string, finer than its minor unit, or more than a payment may be. */
export type AmountFault = 'no-amount' | 'too-fine' | 'too-large'

/** Reads a decimal string as minor units. Zeros behind the last place of the currency say nothing and are accepted. */
export function parseMoney(amount: string, currency: CurrencyCode): Money | AmountFault {
  const exponent = currencyExponents[currency]
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d+))?$/.exec(amount) ?? []
  if (whole === undefined) return 'no-amount'
  const minor = BigInt(whole + fraction.slice(0, exponent).padEnd(exponent, '0'))
  if (minor > paymentMinorMax) return 'too-large'
  return /[1-9]/.test(fraction.slice(exponent)) ? 'too-fine' : { minor: Number(minor), currency }
}

/** The decimal string of an amount, with exactly as many places as its currency has: `{minor: 1250, EUR}` → `"12.50"`. */
export function formatMoney({ minor, currency }: { minor: number | bigint; currency: CurrencyCode }): string {
  const exponent = currencyExponents[currency]
  if (exponent === 0) return minor.toString()
  const digits = minor.toString().padStart(exponent + 1, '0')
  return `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`
}
