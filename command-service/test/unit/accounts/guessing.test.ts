import { describe, expect, it } from '@jest/globals'
import { array, assert, property, string } from 'fast-check'
import { commonPasswords } from '../../../src/accounts/common-passwords'
import { guessesOf, vocabularyOf } from '../../../src/accounts/domain/guessing'

const vocabulary = vocabularyOf(['dragon', 'iceland', 'abc'])
const guesses = (password: string, context: string[] = []) => guessesOf(password, vocabulary, context)

describe('guesses that a password withstands', () => {
  it.each([
    ['', 0],
    ['kxrw', 4],
    ['k7x9', 3],
    ['dragon', 3],
    ['nogard', 3],
    ['Dr4g0n', 3],
    ['dragonkiceland', 7],
    // Of fewer characters than a word is worth.
    ['kbac', 4],
    ['qwer', 1],
    ['rewq', 1],
    ['2468', 2],
    ['kkkk', 2],
    ['kxkxkx', 3],
    ['kxrw-kxrw', 6],
  ])('of %p are 10^%p', (password, power) => expect(guesses(password)).toBe(power))

  it('are few for words of the context, backwards too', () => {
    expect(guesses('grace hopper', ['grace', 'hopper'])).toBe(3)
    expect(guesses('ecarg', ['grace'])).toBe(1)
    expect(guesses('grace', ['hopper', ''])).toBe(5)
  })

  it('are the fewest of all ways to cut it: a longer word hides no shorter one', () =>
    expect(guessesOf('dragonland', vocabularyOf(['dragonl', 'dragon', 'land']), [])).toBe(6))

  it('are never more than one character at a time, for any text', () => {
    assert(
      property(string({ unit: 'binary', maxLength: 200 }), array(string(), { maxLength: 5 }), (text, words) => {
        const power = guessesOf(text, commonPasswords, words)
        expect(power).toBeGreaterThanOrEqual(0)
        // Compatibility forms are taken apart: one of them has 18 characters.
        expect(power).toBeLessThanOrEqual(text.length * 18)
      }),
      { numRuns: 100 },
    )
  })

  it('are known without a search that explodes, whatever the text is', () => {
    const words = Array.from({ length: 120 }, (_, i) => `w${i}`)
    const texts = ['4@1!0$57aeiost'.repeat(9), 'a'.repeat(128), '\ufdfa'.repeat(128), 'passw0rd'.repeat(16)]
    for (const text of texts) {
      const cpuMs = Array.from({ length: 5 }, () => {
        const before = process.cpuUsage()
        guessesOf(text, commonPasswords, words)
        const { user, system } = process.cpuUsage(before)
        return (user + system) / 1000
      })
      // The fastest of five: what else the machine does is no matter. It takes 4 ms, an explosion takes minutes.
      expect(Math.min(...cpuMs)).toBeLessThan(200)
    }
  })
})
