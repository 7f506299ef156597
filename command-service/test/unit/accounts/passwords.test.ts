import { describe, expect, it } from '@jest/globals'
import { Password } from '@annals/contracts'
import { createPasswords } from '../../../src/accounts/passwords'
import { medianOf } from '../../support/distributions'
import { Overloaded } from '../../../src/core/faults'
import type { HashPlace } from '../../../src/accounts/hash-queue'

const password = 'correct horse battery'
const place: HashPlace = { purpose: 'login', client: '192.0.2.1' }

describe('passwords', () => {
  it('match their own hash and no other', async () => {
    const passwords = createPasswords({ cost: 4, concurrency: 2, queueMax: 10 })
    const hash = await passwords.hash(password, place)
    expect(hash).toMatch(/^\$2b\$04\$/)
    expect(await passwords.matches(password, hash, place)).toBe(true)
    expect(await passwords.matches(`${password}!`, hash, place)).toBe(false)
  })

  it('are the same in whatever form of Unicode they are typed', async () => {
    const passwords = createPasswords({ cost: 4, concurrency: 2, queueMax: 10 })
    const [composed, decomposed] = ['z\u00e4hlbare W\u00f6rter', 'za\u0308hlbare Wo\u0308rter']
    const hash = await passwords.hash(Password.parse(decomposed), place)
    expect(await passwords.matches(composed, hash, place)).toBe(true)
    expect(await passwords.matches(decomposed, hash, place)).toBe(true)
    // Kept by a release that took them as they were typed.
    const former = await passwords.hash(decomposed, place)
    expect(await passwords.matches(decomposed, former, place)).toBe(true)
    expect(await passwords.matches(composed, former, place)).toBe(false)
  })

  it('that no account can have match nothing, though bcrypt reads them as another', async () => {
    const passwords = createPasswords({ cost: 4, concurrency: 2, queueMax: 10 })
    const replaced = await passwords.hash('swordfish \ufffd swordfish', place)
    expect(await passwords.matches('swordfish \ufffd swordfish', replaced, place)).toBe(true)
    expect(await passwords.matches('swordfish \ud800 swordfish', replaced, place)).toBe(false)
    const longest = 'x'.repeat(72)
    const cut = await passwords.hash(longest, place)
    expect(await passwords.matches(longest, cut, place)).toBe(true)
    expect(await passwords.matches(`${longest}y`, cut, place)).toBe(false)
    expect(await passwords.matches(`${password}\0`, await passwords.hash(password, place), place)).toBe(false)
  })

  it.each([
    ['72 bytes', 'x'.repeat(72), true],
    ['72 bytes of 24 characters', '\u20ac'.repeat(24), true],
    ['73 bytes', 'x'.repeat(73), false],
    ['75 bytes of 25 characters', '\u20ac'.repeat(25), false],
    ['72 bytes once it is in form C', 'e\u0301'.repeat(36), true],
    ['half of a surrogate pair', `${password}\ud800`, false],
    ['a NUL', `${password}\0`, false],
  ])('of %s are set: %s', (_, given, taken) => expect(Password.safeParse(given).success).toBe(taken))

  it('match nothing where there is no hash, after as much work', async () => {
    const passwords = createPasswords({ cost: 10, concurrency: 1, queueMax: 10 })
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

  it('take as long as the highest cost, whatever theirs is', async () => {
    const former = await createPasswords({ cost: 5, concurrency: 1, queueMax: 10 }).hash(password, place)
    const passwords = createPasswords({ cost: 9, concurrency: 1, queueMax: 10 })
    const timeOf = async (hash: string | null) => {
      const startedAt = performance.now()
      expect(await passwords.matches('wrong horse battery', hash, place)).toBe(false)
      return performance.now() - startedAt
    }
    const times = { former: [] as number[], none: [] as number[] }
    for (let i = 0; i < 20; i++) {
      times.former.push(await timeOf(former))
      times.none.push(await timeOf(null))
    }
    // Of one in sixteen without the rest.
    expect(medianOf(times.former)).toBeGreaterThan(medianOf(times.none) / 2)
    expect(await passwords.matches(password, former, place)).toBe(true)
  })

  it('of a higher cost than is configured now make all others take as long, once one was met', async () => {
    const higher = await createPasswords({ cost: 9, concurrency: 1, queueMax: 10 }).hash(password, place)
    const passwords = createPasswords({ cost: 4, concurrency: 1, queueMax: 10 })
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
    const passwords = createPasswords({ cost: 8, concurrency: 2, queueMax: 3 })
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
    const passwords = createPasswords({ cost: 4, concurrency: 1, queueMax: 10 })
    const broken = passwords.matches(17 as unknown as string, null, place)
    const next = passwords.hash(password, place)
    await expect(broken).rejects.toThrow()
    await expect(next).resolves.toMatch(/^\$2b/)
    expect(passwords.load).toBe(0)
  })

  it('leave the event loop free', async () => {
    const passwords = createPasswords({ cost: 11, concurrency: 2, queueMax: 10 })
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await Promise.all([passwords.hash(password, place), passwords.hash(password, place)])
    clearInterval(timer)
    expect(turns).toBeGreaterThan(5)
  })
})
