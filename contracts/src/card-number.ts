import type { z } from 'zod'

/**
 * Issuers by the first digits of their numbers, and how many digits these have (ISO/IEC 7812; ranges as the networks publish them).
 * The prefix tells a card from most other numbers whose last digit happens to be right: one in ten of all numbers has that.
 */
const issuers: readonly [prefix: RegExp, lengths: readonly number[]][] = [
  // Visa
  [/^4/, [13, 16, 19]],
  // Mastercard: 51-55, 2221-2720
  [/^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  // American Express
  [/^3[47]/, [15]],
  // Diners Club
  [/^(30[0-5]|3095|36|3[89])/, [14, 15, 16, 17, 18, 19]],
  // JCB
  [/^35(2[89]|[3-8])/, [16, 17, 18, 19]],
  // Mir
  [/^220[0-4]/, [16, 17, 18, 19]],
  // Discover, UnionPay, RuPay, Maestro
  [/^(50|5[6-8]|6|8[12])/, [13, 14, 15, 16, 17, 18, 19]],
]
const digitsMin = 13
const digitsMax = 19

/** Luhn's check digit (ISO/IEC 7812-1, annex B). */
function isLuhnValid(digits: string): boolean {
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i])
    const doubled = i % 2 === 0 ? digit : digit * 2
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

const isCardNumber = (digits: string): boolean =>
  issuers.some(([prefix, lengths]) => lengths.includes(digits.length) && prefix.test(digits)) && isLuhnValid(digits)

const isDigit = (code: number) => /\p{Nd}/u.test(String.fromCodePoint(code))

/** Digits of any script as ASCII: Unicode has ten in a row, from zero up, of each. */
const asAscii = (text: string): string =>
  text.normalize('NFKC').replaceAll(/[^\P{Nd}0-9]/gu, (digit) => {
    let above = 0
    while (above < 9 && isDigit(digit.codePointAt(0)! - above - 1)) above++
    return String(above)
  })

// oxlint-disable-next-line no-control-regex -- every character of ASCII
const isAscii = /^[\x00-\x7f]*$/

/** What people write between groups of digits, and what nobody sees. */
const separators = /^[\p{Z}\p{Pd}\p{Default_Ignorable_Code_Point}\t\n._/,:*|]{0,6}$/u

/**
 * Whether a text holds the number of a payment card: 13 to 19 digits with separators or without, an issuer's prefix, a check digit that
 * is right. A number begins and ends where a group of digits does: twenty digits in a row are none. It finds what people paste, not
 * what somebody hides on purpose.
 */
export function holdsCardNumber(text: string): boolean {
  // Most texts are ASCII and have few digits: one look is enough.
  const isPlain = isAscii.test(text)
  if (isPlain && (text.match(/\d/g)?.length ?? 0) < digitsMin) return false
  const ascii = isPlain ? text : asAscii(text)
  const groups = [...ascii.matchAll(/\d+/g)].map(({ 0: digits, index }) => ({ digits, from: index }))
  for (let first = 0; first < groups.length; first++) {
    let digits = ''
    for (let last = first; last < groups.length; last++) {
      const group = groups[last]!
      const before = groups[last - 1]
      const between = last > first && before ? ascii.slice(before.from + before.digits.length, group.from) : ''
      if (!separators.test(between)) break
      digits += group.digits
      if (digits.length > digitsMax) break
      if (digits.length >= digitsMin && isCardNumber(digits)) return true
    }
  }
  return false
}

/** A check for schemas of requests: the client is told which field it is. Events that hold one stay readable. */
export function noCardNumber({ value, issues }: z.core.ParsePayload<string>): void {
  if (!holdsCardNumber(value)) return
  // Without the value: whoever refuses a card number must not repeat it.
  issues.push({ code: 'custom', message: 'must not contain the number of a payment card', input: undefined })
}
