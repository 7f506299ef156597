import { describe, expect, it } from '@jest/globals'
import bcrypt from 'bcrypt'
import { peppersOf } from '../../../src/accounts/password-forms'
import { createPasswords } from '../../../src/accounts/passwords'
import { createRehash, type ProvedPassword, type RehashDeps, type RehashOutcome } from '../../../src/accounts/rehash'
import type { HashPlace } from '../../../src/accounts/hash-queue'

const place: HashPlace = { purpose: 'login', client: '192.0.2.1' }

function world(append: () => Promise<{ appended: boolean }> = async () => ({ appended: true })) {
  const outcomes: RehashOutcome[] = []
  let appends = 0
  const passwords = createPasswords({ cost: 5, peppers: peppersOf([Buffer.alloc(32, 7)]), concurrency: 1, queueMax: 4 })
  const rehash = createRehash({
    execute: (() => (appends++, append())) as unknown as RehashDeps['execute'],
    passwords,
    now: () => '2026-01-01T00:00:00.000Z',
    onOutcome: (outcome) => outcomes.push(outcome),
  })
  return { passwords, rehash, outcomes, appends: () => appends }
}
const proved = async (i = 0): Promise<ProvedPassword> => ({
  userId: '11111111-1111-4111-8111-111111111111',
  credentialId: `33333333-3333-4333-8333-33333333333${i}`,
  passwordHash: await bcrypt.hash('swordfish', 4),
  password: 'swordfish',
  client: '192.0.2.1',
  correlationId: 'c',
  causationId: 'login',
})

describe('a password that is hashed anew', () => {
  it('waits until nobody else waits for a hash', async () => {
    const { passwords, rehash, outcomes } = world()
    const login = await proved()
    const order: string[] = []
    const jobs = Array.from({ length: 3 }, async (_, i) => {
      await passwords.matches('wrong', null, place)
      order.push(`login ${i}, ${outcomes.length} anew`)
    })
    rehash.after(login)
    await Promise.all(jobs)
    await rehash.close()
    expect(order).toEqual(['login 0, 0 anew', 'login 1, 0 anew', 'login 2, 0 anew'])
  })

  it('is hashed once, while the same login comes again and again', async () => {
    const { passwords, rehash, outcomes, appends } = world()
    const login = await proved()
    for (let i = 0; i < 5; i++) rehash.after(login)
    expect(passwords.load).toBe(1)
    await rehash.close()
    expect([outcomes, appends()]).toEqual([['done'], 1])
  })

  it('is left alone when it is of today', async () => {
    const { passwords, rehash, outcomes } = world()
    rehash.after({ ...(await proved()), passwordHash: await passwords.hash('swordfish', place) })
    await rehash.close()
    expect(outcomes).toEqual([])
  })

  it('is put off when too many wait, and when the process ends', async () => {
    const { passwords, rehash, outcomes, appends } = world()
    const logins = await Promise.all(Array.from({ length: 7 }, (_, i) => proved(i)))
    const busy = passwords.matches('wrong', null, place)
    for (const login of logins) rehash.after(login)
    await new Promise((resolve) => setImmediate(resolve))
    // Of seven, four wait.
    expect([outcomes.length, passwords.load]).toEqual([3, 5])
    await rehash.close()
    await busy
    rehash.after(logins[0]!)
    expect([new Set(outcomes), outcomes.length, appends()]).toEqual([new Set(['put-off']), 7, 0])
  })

  it('stays as it was when the log is away or another was faster, and is tried again by the next login', async () => {
    const answers = [async () => Promise.reject(new Error('away')), async () => ({ appended: false })]
    const { rehash, outcomes } = world(() => answers.shift()!())
    for (const expected of ['failed', 'superseded']) {
      rehash.after(await proved())
      while (!outcomes.includes(expected as RehashOutcome)) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await rehash.close()
    expect(outcomes).toEqual(['failed', 'superseded'])
  })
})
