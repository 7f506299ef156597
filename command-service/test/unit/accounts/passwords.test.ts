import { describe, expect, it } from '@jest/globals'
import bcrypt from 'bcrypt'
import { Password } from '@annals/contracts'
import { peppersOf, preHash } from '../../../src/accounts/password-forms'
import { createPasswords, type PasswordOptions } from '../../../src/accounts/passwords'
import { Overloaded } from '../../../src/core/faults'
import type { HashPlace } from '../../../src/accounts/hash-queue'

const password = 'correct horse battery'
const place: HashPlace = { purpose: 'login', client: '192.0.2.1' }

const [key, nextKey] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)]
const passwordsWith = (options: Partial<PasswordOptions> = {}) =>
  createPasswords({ cost: 4, peppers: peppersOf([key]), concurrency: 2, queueMax: 10, ...options })
/** As releases before form v2 kept it, and as other systems do. */
const formerHash = (text: string, cost = 4) => bcrypt.hash(text, cost)

describe('passwords', () => {
  it('match their own hash and no other', async () => {
    const passwords = passwordsWith()
    const hash = await passwords.hash(password, place)
    expect(hash).toMatch(/^\$annals\$v2\$k=[0-9a-f]{16}\$2b\$04\$/)
    expect(await passwords.matches(password, hash, place)).toBe(true)
    expect(await passwords.matches(`${password}!`, hash, place)).toBe(false)
    expect(await passwords.hash(password, place)).not.toBe(hash)
  })

  it('that differ after 72 bytes, or after 127 characters, are told apart', async () => {
    const passwords = passwordsWith()
    for (const [same, rest] of [
      ['x'.repeat(72), 'yz'],
      ['€'.repeat(127), 'yz'],
    ] as const) {
      const [one, other] = [...rest].map((last) => Password.parse(same + last)) as [string, string]
      const hash = await passwords.hash(one, place)
      expect(await passwords.matches(one, hash, place)).toBe(true)
      expect(await passwords.matches(other, hash, place)).toBe(false)
      expect(await passwords.matches(same, hash, place)).toBe(false)
    }
  })

  it('are the same in whatever form of Unicode they are typed', async () => {
    const passwords = passwordsWith()
    const [composed, decomposed] = ['z\u00e4hlbare W\u00f6rter', 'za\u0308hlbare Wo\u0308rter']
    const hash = await passwords.hash(Password.parse(decomposed), place)
    expect(await passwords.matches(composed, hash, place)).toBe(true)
    expect(await passwords.matches(decomposed, hash, place)).toBe(true)
    // Kept by a release that took them as they were typed.
    const former = await formerHash(decomposed)
    expect(await passwords.matches(decomposed, former, place)).toBe(true)
    expect(await passwords.matches(composed, former, place)).toBe(false)
  })

  it('that no account can have match nothing, though bcrypt or UTF-8 read them as another', async () => {
    const passwords = passwordsWith()
    const [replaced, half] = ['swordfish \ufffd swordfish', 'swordfish \ud800 swordfish']
    for (const hash of [await passwords.hash(replaced, place), await formerHash(replaced)]) {
      expect(await passwords.matches(replaced, hash, place)).toBe(true)
      expect(await passwords.matches(half, hash, place)).toBe(false)
    }
    for (const text of [`${password}\0`, 'x'.repeat(129)])
      expect(await passwords.matches(text, await passwords.hash(text, place), place)).toBe(false)
  })

  it('of form v1 match as before, as far as bcrypt read all of them', async () => {
    const passwords = passwordsWith()
    const longest = 'x'.repeat(72)
    const cut = await formerHash(longest)
    expect(await passwords.matches(longest, cut, place)).toBe(true)
    expect(await passwords.matches(`${longest}y`, cut, place)).toBe(false)
    const former = await formerHash(password)
    expect(await passwords.matches(password, former, place)).toBe(true)
    expect(await passwords.matches(`${password}\0`, former, place)).toBe(false)
    // From PHP and from older libraries. What was set at another time may be short.
    for (const minor of ['$2a$', '$2y$'])
      expect(await passwords.matches('short', (await formerHash('short')).replace('$2b$', minor), place)).toBe(true)
  })

  it('never match by what bcrypt is given: a hash of form v2 that was cut to v1 is no way in', async () => {
    const passwords = passwordsWith()
    const hash = await passwords.hash(password, place)
    const cut = hash.slice(hash.indexOf('$2b$'))
    expect(await passwords.matches(password, cut, place)).toBe(false)
    expect(await passwords.matches(preHash(peppersOf([key]).current, password), hash, place)).toBe(false)
  })

  it('match under every key that is configured, and under no other', async () => {
    const missing: string[] = []
    const hash = await passwordsWith().hash(password, place)
    const both = passwordsWith({ peppers: peppersOf([nextKey, key]) })
    const next = passwordsWith({ peppers: peppersOf([nextKey]), onUnknownKey: (keyId) => missing.push(keyId) })
    expect(await both.matches(password, hash, place)).toBe(true)
    expect(await next.matches(password, await both.hash(password, place), place)).toBe(true)
    expect(missing).toEqual([])
    expect(await next.matches(password, hash, place)).toBe(false)
    expect(missing).toEqual([peppersOf([key]).current.id])
  })

  it('are outdated when form, key or cost is not the one of today', async () => {
    const passwords = passwordsWith({ peppers: peppersOf([nextKey, key]), cost: 5 })
    const hashes = {
      today: await passwords.hash(password, place),
      form: await formerHash(password, 5),
      key: await passwordsWith({ cost: 5 }).hash(password, place),
      lower: await passwordsWith({ peppers: peppersOf([nextKey]) }).hash(password, place),
      higher: await passwordsWith({ peppers: peppersOf([nextKey]), cost: 6 }).hash(password, place),
    }
    const outdated = Object.entries(hashes).filter(([, hash]) => passwords.isOutdated(hash))
    expect(outdated.map(([why]) => why)).toEqual(['form', 'key', 'lower', 'higher'])
  })

  it.each([
    ['7 characters', 'kxrwqpz', false],
    ['8 characters', 'kxrwqpzm', true],
    ['7 characters of two units each', '😀😇🥶🚀🎲🧵🪐', false],
    ['7 characters once it is in form C', 'e\u0301'.repeat(7), false],
    ['128 characters', 'x'.repeat(128), true],
    ['128 characters of three bytes', '\u20ac'.repeat(128), true],
    ['128 characters of two units each', '😀'.repeat(128), true],
    ['128 characters once it is in form C', 'e\u0301'.repeat(128), true],
    ['128 characters of four units each once it is in form C', '\u03b1\u0313\u0300\u0345'.repeat(128), true],
    ['129 characters', 'x'.repeat(129), false],
    ['more units than are looked at', 'e\u0301'.repeat(400), false],
    ['half of a surrogate pair', `${password}\ud800`, false],
    ['a NUL', `${password}\0`, false],
  ])('of %s are set: %s', (_, given, taken) => expect(Password.safeParse(given).success).toBe(taken))

  it('match nothing where there is no hash, after as much work', async () => {
    const passwords = passwordsWith({ cost: 10, concurrency: 1, queueMax: 10 })
    const hash = await passwords.hash(password, place)
    const timed = async (work: () => Promise<boolean>) => {
      const startedAt = performance.now()
      expect(await work()).toBe(false)
      return performance.now() - startedAt
    }
    const wrong = await timed(() => passwords.matches('wrong', hash, place))
    const none = await timed(() => passwords.matches(password, null, place))
    expect(none).toBeGreaterThan(wrong / 4)
  })

  it('take as long as the highest cost, whatever their form, their key and their cost is', async () => {
    const options = { cost: 7, concurrency: 1 }
    const passwords = passwordsWith(options)
    const hashes: Record<string, string | null> = {
      none: null,
      today: await passwords.hash(password, place),
      'a lower cost': await passwordsWith({ cost: 5 }).hash(password, place),
      'form v1': await formerHash(password, 7),
      'form v1 and a lower cost': await formerHash(password, 5),
      'another key': await passwordsWith({ ...options, peppers: peppersOf([nextKey]) }).hash(password, place),
      'a cost that is refused': (await formerHash(password)).replace('$04$', '$31$'),
    }
    const times = Object.fromEntries(Object.keys(hashes).map((name) => [name, [] as number[]]))
    // One is read by bcrypt and one is not, one is compared in two forms.
    for (const wrong of ['wrong horse battery', 'x'.repeat(73), 'wrong ho\u0308rse'])
      for (let i = 0; i < 5; i++)
        for (const [name, hash] of Object.entries(hashes)) {
          const startedAt = performance.now()
          expect(await passwords.matches(wrong, hash, place)).toBe(false)
          times[name]!.push(performance.now() - startedAt)
        }
    // Without the rest of the work it would be one in four, or nothing at all.
    // The fastest of each: what else the machine does is no matter.
    const expected = Math.min(...times['none']!)
    for (const [name, each] of Object.entries(times))
      if (!(Math.min(...each) > expected / 2 && Math.min(...each) < expected * 2))
        throw new Error(`${name}: ${Math.min(...each).toFixed(1)} ms instead of ${expected.toFixed(1)} ms`)
    expect(await passwords.matches(password, hashes['form v1 and a lower cost'], place)).toBe(true)
  })

  it('of a higher cost than is configured now make all others take as long, once one was met', async () => {
    const higher = await passwordsWith({ cost: 9, concurrency: 1, queueMax: 10 }).hash(password, place)
    const passwords = passwordsWith({ cost: 4, concurrency: 1, queueMax: 10 })
    const timeOf = async (hash: string | null) => {
      const startedAt = performance.now()
      await passwords.matches('wrong horse battery', hash, place)
      return performance.now() - startedAt
    }
    const before = []
    for (let i = 0; i < 10; i++) before.push(await timeOf(null))
    await timeOf(higher)
    // 32 times the work, in the fastest of ten against a single one: what else the machine does is no matter.
    expect(await timeOf(null)).toBeGreaterThan(Math.min(...before) * 8)
  })

  it('wait in a bounded queue, beyond which they are refused before anything is done', async () => {
    const passwords = passwordsWith({ cost: 8, concurrency: 2, queueMax: 3 })
    const jobs = Array.from({ length: 8 }, () => passwords.hash(password, place))
    expect(passwords.load).toBe(5)
    expect(() => passwords.admit(place)).toThrow(Overloaded)
    const results = await Promise.allSettled(jobs)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(refused).toHaveLength(3)
    for (const reason of refused) expect(reason).toMatchObject({ name: 'Overloaded', retryAfterSeconds: 1 })
    expect(passwords.load).toBe(0)
    passwords.admit(place)
  })

  it('give their place on when one fails', async () => {
    const passwords = passwordsWith({ cost: 4, concurrency: 1, queueMax: 10 })
    const broken = passwords.matches(17 as unknown as string, null, place)
    const next = passwords.hash(password, place)
    await expect(broken).rejects.toThrow()
    await expect(next).resolves.toMatch(/\$2b\$/)
    expect(passwords.load).toBe(0)
  })

  it('leave the event loop free', async () => {
    const passwords = passwordsWith({ cost: 11, concurrency: 2, queueMax: 10 })
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await Promise.all([passwords.hash(password, place), passwords.hash(password, place)])
    clearInterval(timer)
    expect(turns).toBeGreaterThan(5)
  })
})
