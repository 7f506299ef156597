import { describe, expect, it } from '@jest/globals'
import { createPasswords } from '../../src/credentials/passwords'
import { Overloaded } from '../../src/execution/faults'

const password = 'correct horse battery'

describe('passwords', () => {
  it('match their own hash and no other', async () => {
    const passwords = createPasswords({ cost: 4, concurrency: 2, queueMax: 10 })
    const hash = await passwords.hash(password)
    expect(hash).toMatch(/^\$2b\$04\$/)
    expect(await passwords.matches(password, hash)).toBe(true)
    expect(await passwords.matches(`${password}!`, hash)).toBe(false)
  })

  it('match nothing where there is no hash, after as much work', async () => {
    const passwords = createPasswords({ cost: 10, concurrency: 1, queueMax: 10 })
    const hash = await passwords.hash(password)
    const timed = async (work: () => Promise<boolean>) => {
      const startedAt = performance.now()
      expect(await work()).toBe(false)
      return performance.now() - startedAt
    }
    const wrong = await timed(() => passwords.matches('wrong', hash))
    const none = await timed(() => passwords.matches(password, null))
    expect(none).toBeGreaterThan(wrong / 4)
  })

  it('wait in a bounded queue, beyond which they are refused before anything is done', async () => {
    const passwords = createPasswords({ cost: 8, concurrency: 2, queueMax: 3 })
    const jobs = Array.from({ length: 8 }, () => passwords.hash(password))
    expect(passwords.load).toBe(5)
    expect(() => passwords.admit()).toThrow(Overloaded)
    const results = await Promise.allSettled(jobs)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(refused).toHaveLength(3)
    for (const reason of refused) expect(reason).toMatchObject({ name: 'Overloaded', retryAfterSeconds: 1 })
    expect(passwords.load).toBe(0)
    passwords.admit()
  })

  it('give their place on when one fails', async () => {
    const passwords = createPasswords({ cost: 4, concurrency: 1, queueMax: 10 })
    const broken = passwords.matches(password, 17 as unknown as string)
    const next = passwords.hash(password)
    await expect(broken).rejects.toThrow()
    await expect(next).resolves.toMatch(/^\$2b/)
    expect(passwords.load).toBe(0)
  })

  it('leave the event loop free', async () => {
    const passwords = createPasswords({ cost: 11, concurrency: 2, queueMax: 10 })
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await Promise.all([passwords.hash(password), passwords.hash(password)])
    clearInterval(timer)
    expect(turns).toBeGreaterThan(5)
  })
})
