import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals'
import { pino } from 'pino'
import { createRedis } from '../../src/redis'
import { createRevocationMarks } from '../../src/revocation'
import { eventually, requireEnv } from '../../src/testing'

const log = pino({ level: 'silent' })
// A numbered database of its own: it is emptied here.
const redis = createRedis(`${requireEnv('REDIS_URL')}/12`, log)
let skipped = 0
const marks = createRevocationMarks({ redis, log, markMs: 60_000, onSkipped: () => (skipped += 1) })
const nobody = async () => []

beforeEach(async () => {
  await eventually(() => expect(redis.status).toBe('ready'))
  await redis.flushdb()
})
afterAll(() => {
  marks.close()
  redis.disconnect()
})

describe('marks of ended sessions', () => {
  it('are believed once Redis knows all ends', async () => {
    const [ended, alive] = [randomUUID(), randomUUID()]
    await marks.complete(nobody)
    await marks.add(ended, 60_000)
    expect(await marks.ask(ended)).toBe('ended')
    expect(await marks.ask(alive)).toBe('not-ended')
  })

  it('say nothing of the others while Redis may have forgotten', async () => {
    const ended = randomUUID()
    await marks.add(ended, 60_000)
    expect(await marks.ask(ended)).toBe('ended')
    expect(await marks.ask(randomUUID())).toBe('unknown')
  })

  it('are forgotten when Redis is emptied, and known to be', async () => {
    const ended = randomUUID()
    await marks.complete(nobody)
    await marks.add(ended, 60_000)
    await redis.flushdb()
    expect(await marks.ask(ended)).toBe('unknown')
  })

  it('are made again from the facts, only those that still matter', async () => {
    const [recent, old] = [randomUUID(), randomUUID()]
    const asked: number[] = []
    await marks.complete(async (since) => {
      asked.push(since)
      return [
        { sessionId: recent, endedAt: Date.now() - 30_000 },
        { sessionId: old, endedAt: Date.now() - 61_000 },
      ]
    })
    expect(asked).toEqual([expect.closeTo(Date.now() - 60_000, -4)])
    expect(await marks.ask(recent)).toBe('ended')
    expect(await marks.ask(old)).toBe('not-ended')
    expect(await redis.pttl(`revoked:${recent}`)).toBeLessThanOrEqual(30_000)
  })

  it('are not called complete when Redis was emptied while they were made', async () => {
    await marks.complete(async () => {
      await redis.flushdb()
      return []
    })
    expect(await marks.ask(randomUUID())).toBe('unknown')
  })

  it('are not called complete when the facts can not be read', async () => {
    const failing = marks.complete(() => Promise.reject(new Error('the log is away')))
    await expect(failing).rejects.toThrow('the log is away')
    expect(await marks.ask(randomUUID())).toBe('unknown')
  })

  it('are not called complete before their time when the facts are too many to read, however often it is tried', async () => {
    await marks.complete(async () => undefined)
    const memory = await redis.get('revoked:memory')
    await marks.complete(async () => undefined)
    expect(await redis.get('revoked:memory')).toBe(memory)
    expect(await marks.ask(randomUUID())).toBe('unknown')
    const [run, since] = memory!.split(' ')
    await redis.set('revoked:memory', `${run} ${Number(since) - 60_000}`)
    expect(await marks.ask(randomUUID())).toBe('not-ended')
  })

  it('are not believed of a server that was started again', async () => {
    await marks.complete(nobody)
    const [, since] = (await redis.get('revoked:memory'))!.split(' ')
    await redis.set('revoked:memory', `${'0'.repeat(40)} ${since}`)
    expect(await marks.ask(randomUUID())).toBe('unknown')
  })

  describe('while Redis has not heard of the older ends', () => {
    /** A log that says whether a session ended, and counts how often it was asked. */
    const logThatSays = (ended: boolean) => {
      const look = Object.assign(async () => (look.count++, ended), { count: 0 })
      return look
    }

    it('the log is asked once for an active session, and an end is heard of all the same', async () => {
      await marks.complete(async () => undefined)
      const [sessionId, look] = [randomUUID(), logThatSays(false)]
      for (let i = 0; i < 3; i++) expect(await marks.hasEnded(sessionId, look)).toBe(false)
      expect(look.count).toBe(1)
      await marks.add(sessionId, 60_000)
      expect(await marks.hasEnded(sessionId, look)).toBe(true)
      expect(look.count).toBe(1)
    })

    it('the log is asked each time for an ended session: what Redis does not know is not kept here', async () => {
      await marks.complete(async () => undefined)
      const [sessionId, look] = [randomUUID(), logThatSays(true)]
      for (let i = 0; i < 3; i++) expect(await marks.hasEnded(sessionId, look)).toBe(true)
      expect(look.count).toBe(3)
    })

    it('what the log said is forgotten with the memory of Redis', async () => {
      await marks.complete(async () => undefined)
      const sessionId = randomUUID()
      expect(await marks.hasEnded(sessionId, logThatSays(false))).toBe(false)
      await marks.add(sessionId, 60_000)
      await redis.flushdb()
      await marks.complete(async () => undefined)
      expect(await marks.hasEnded(sessionId, logThatSays(true))).toBe(true)
    })

    it('what the log said before Redis heard of ends is not kept', async () => {
      const [sessionId, look] = [randomUUID(), logThatSays(false)]
      for (let i = 0; i < 3; i++) expect(await marks.hasEnded(sessionId, look)).toBe(false)
      expect(look.count).toBe(3)
    })

    it('what the log said is not kept when Redis was emptied during the look', async () => {
      await marks.complete(async () => undefined)
      const sessionId = randomUUID()
      const look = async () => {
        await redis.flushdb()
        await marks.complete(async () => undefined)
        return false
      }
      expect(await marks.hasEnded(sessionId, look)).toBe(false)
      expect(await marks.hasEnded(sessionId, logThatSays(true))).toBe(true)
    })
  })

  it('say nothing while Redis does not answer', async () => {
    const away = createRedis('redis://127.0.0.1:1', log)
    const unheard = createRevocationMarks({ redis: away, log, markMs: 60_000, onSkipped: () => (skipped += 1) })
    const before = skipped
    expect(await unheard.ask(randomUUID())).toBe('unknown')
    expect(skipped).toBeGreaterThan(before)
    unheard.close()
    away.disconnect()
  })
})
