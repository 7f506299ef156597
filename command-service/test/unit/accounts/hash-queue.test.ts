import { describe, expect, it } from '@jest/globals'
import { createHashQueue, type HashPlace, type HashPurpose, type HashQueue } from '../../../src/accounts/hash-queue'
import { Overloaded } from '../../../src/core/faults'

/** A queue whose jobs end when the test says so, and what was started and refused, in order. */
function world({ concurrency = 1, queueMax = 4 } = {}) {
  const queue: HashQueue = createHashQueue({ concurrency, queueMax, jobSeconds: 0.25 })
  const started: string[] = []
  const refused: string[] = []
  const finishers: (() => void)[] = []
  const come = (purpose: HashPurpose, client: string, count = 1) => {
    for (let i = 1; i <= count; i++) {
      const place: HashPlace = { purpose, client }
      const name = `${purpose === 'rehash' ? 'again' : purpose[0]}-${client}${count > 1 ? i : ''}`
      const job = () => {
        started.push(name)
        return new Promise<void>((resolve) => finishers.push(resolve))
      }
      queue.inTurn(place, job).catch((error: unknown) => {
        expect(error).toBeInstanceOf(Overloaded)
        refused.push(name)
      })
    }
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    queue,
    started,
    refused,
    come,
    settle,
    async finish(count: number) {
      for (let i = 0; i < count; i++) {
        await settle()
        finishers.shift()?.()
      }
      await settle()
    },
  }
}

describe('the queue of hashes', () => {
  it('serves purposes in turn, and of each purpose clients in turn', async () => {
    const there = world({ queueMax: 10 })
    there.come('registration', 'a', 4)
    there.come('registration', 'b')
    there.come('login', 'c', 2)
    there.come('login', 'd')
    await there.finish(8)
    expect(there.started).toEqual(['r-a1', 'l-c1', 'r-a2', 'l-d', 'r-b', 'l-c2', 'r-a3', 'r-a4'])
    expect(there.queue.load).toBe(0)
  })

  it('keeps a place for logins, however many registrations come', async () => {
    const there = world({ queueMax: 4 })
    there.come('registration', 'a', 60)
    there.come('login', 'a', 4)
    await there.settle()
    expect(there.refused).toHaveLength(55)
    await there.finish(9)
    expect(there.started.slice(0, 3)).toEqual(['r-a1', 'l-a1', 'r-a2'])
    expect(there.started.filter((name) => name.startsWith('l'))).toHaveLength(4)
  })

  it('that is full gives a place of the client who has most to one who has fewer', async () => {
    const there = world({ queueMax: 4 })
    there.come('login', 'x')
    there.come('login', 'a', 4)
    there.come('login', 'b', 2)
    await there.settle()
    expect(there.refused).toEqual(['l-a4', 'l-a3'])
    // Two each: nobody has more than the other.
    expect(() => there.queue.admit({ purpose: 'login', client: 'b' })).toThrow(Overloaded)
    expect(() => there.queue.admit({ purpose: 'login', client: 'a' })).toThrow(Overloaded)
    there.queue.admit({ purpose: 'login', client: 'c' })
    there.come('login', 'b')
    there.come('login', 'c')
    await there.settle()
    expect(there.refused.slice(2).toSorted()).toEqual(['l-a2', 'l-b'])
    await there.finish(5)
    expect(there.started).toEqual(['l-x', 'l-a1', 'l-b1', 'l-c', 'l-b2'])
  })

  it('refuses with the time that the queue takes', () => {
    const there = world({ concurrency: 1, queueMax: 8 })
    there.come('login', 'a', 9)
    there.come('registration', 'a', 8)
    expect(() => there.queue.admit({ purpose: 'login', client: 'a' })).toThrow(
      expect.objectContaining({ retryAfterSeconds: 5 }),
    )
  })

  it('begins a rehash when nothing else waits, and refuses those that wait when it is told to', async () => {
    const there = world({ queueMax: 3 })
    there.come('login', 'a')
    there.come('rehash', 'a', 4)
    there.come('registration', 'b')
    await there.finish(1)
    there.come('login', 'c')
    await there.finish(2)
    expect(there.started).toEqual(['l-a', 'r-b', 'l-c', 'again-a1'])
    expect([there.refused, there.queue.load]).toEqual([['again-a4'], 3])
    there.queue.dismiss('rehash')
    await there.finish(1)
    expect([there.refused, there.started.length, there.queue.load]).toEqual([
      ['again-a4', 'again-a2', 'again-a3'],
      4,
      0,
    ])
    there.come('rehash', 'a')
    await there.finish(1)
    expect(there.started.at(-1)).toBe('again-a')
  })

  it('gives a place on when a job fails', async () => {
    const queue = createHashQueue({ concurrency: 1, queueMax: 4, jobSeconds: 0.25 })
    const place = { purpose: 'login', client: 'a' } as const
    const broken = queue.inTurn(place, () => Promise.reject(new Error('no')))
    const next = queue.inTurn(place, async () => 1)
    await expect(broken).rejects.toThrow('no')
    expect(await next).toBe(1)
    expect(queue.load).toBe(0)
  })
})
