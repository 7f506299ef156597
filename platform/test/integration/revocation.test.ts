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
