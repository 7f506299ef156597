import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals'
import { pino } from 'pino'
import type { Verdict } from '../../src/access-tokens'
import { createRedis } from '../../src/redis'
import { createRevocationMarks, type Bearer, type Mark, type Standing } from '../../src/revocation'
import { eventually, requireEnv } from '../../src/testing'

const log = pino({ level: 'silent' })
// A numbered database of its own: it is emptied here.
const redis = createRedis(`${requireEnv('REDIS_URL')}/12`, log)
let skipped = 0
const marks = createRevocationMarks({ redis, log, markMs: 60_000, onSkipped: () => (skipped += 1) })
const nothing = async () => []

const somebody = (given: Partial<Bearer> = {}): Bearer => ({
  sessionId: randomUUID(),
  userId: randomUUID(),
  epoch: 1,
  roles: ['user'],
  ...given,
})
const endOf = ({ sessionId }: Bearer, at = Date.now()): Mark => ({ about: 'session', id: sessionId, at })
const changeOf = ({ userId }: Bearer, revision: number, standing: Partial<Standing>, at = Date.now()): Mark => ({
  about: 'account',
  id: userId,
  at,
  revision,
  standing: { isActive: true, epoch: 1, exceptSessionId: null, roles: ['user'], ...standing },
})
const add = (mark: Mark) => marks.settle(mark, 'change')

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
    const [ended, alive] = [somebody(), somebody()]
    await marks.complete(nothing)
    await add(endOf(ended))
    expect(await marks.ask(ended)).toBe('ended')
    expect(await marks.ask(alive)).toBe('good')
  })

  it('say nothing of the others while Redis may have forgotten', async () => {
    const ended = somebody()
    await add(endOf(ended))
    expect(await marks.ask(ended)).toBe('ended')
    expect(await marks.ask(somebody())).toBe('unknown')
  })

  it('of a former release are read as before', async () => {
    const ended = somebody()
    await redis.set(`revoked:${ended.sessionId}`, '1', 'PX', 60_000)
    await marks.announce({ about: 'session', id: ended.sessionId }, 'change')
    expect(await marks.ask(ended)).toBe('ended')
  })

  it('are forgotten when Redis is emptied, and known to be', async () => {
    const ended = somebody()
    await marks.complete(nothing)
    await add(endOf(ended))
    await redis.flushdb()
    expect(await marks.ask(ended)).toBe('unknown')
  })

  it('are made again from the facts, only those that still matter', async () => {
    const [recent, old, disabled] = [somebody(), somebody(), somebody()]
    const asked: number[] = []
    await marks.complete(async (since) => {
      asked.push(since)
      return [
        endOf(recent, Date.now() - 30_000),
        endOf(old, Date.now() - 61_000),
        changeOf(disabled, 3, { isActive: false, epoch: 2 }, Date.now() - 30_000),
      ]
    })
    expect(asked).toEqual([expect.closeTo(Date.now() - 60_000, -4)])
    expect(await marks.ask(recent)).toBe('ended')
    expect(await marks.ask(old)).toBe('good')
    expect(await marks.ask(disabled)).toBe('ended')
    expect(await redis.pttl(`revoked:${recent.sessionId}`)).toBeLessThanOrEqual(30_000)
  })

  it('are not called complete when Redis was emptied while they were made', async () => {
    await marks.complete(async () => {
      await redis.flushdb()
      return []
    })
    expect(await marks.ask(somebody())).toBe('unknown')
  })

  it('are not called complete when the facts can not be read', async () => {
    const failing = marks.complete(() => Promise.reject(new Error('the log is away')))
    await expect(failing).rejects.toThrow('the log is away')
    expect(await marks.ask(somebody())).toBe('unknown')
  })

  it('are not called complete before their time when the facts are too many to read, however often it is tried', async () => {
    await marks.complete(async () => undefined)
    const memory = await redis.get('revoked:memory')
    await marks.complete(async () => undefined)
    expect(await redis.get('revoked:memory')).toBe(memory)
    expect(await marks.ask(somebody())).toBe('unknown')
    const [run, since] = memory!.split(' ')
    await redis.set('revoked:memory', `${run} ${Number(since) - 60_000}`)
    expect(await marks.ask(somebody())).toBe('good')
  })

  it('are not believed of a server that was started again', async () => {
    await marks.complete(nothing)
    const [, since] = (await redis.get('revoked:memory'))!.split(' ')
    await redis.set('revoked:memory', `${'0'.repeat(40)} ${since}`)
    expect(await marks.ask(somebody())).toBe('unknown')
  })
})

describe('marks of accounts', () => {
  beforeEach(() => marks.complete(nothing))

  it('end the sessions of former epochs, but the one that goes on', async () => {
    const [thief, owner] = [somebody(), somebody()]
    const both = { userId: owner.userId }
    await add(changeOf(owner, 4, { epoch: 2, exceptSessionId: owner.sessionId }))
    expect(await marks.ask({ ...thief, ...both })).toBe('ended')
    expect(await marks.ask(owner)).toBe('good')
    expect(await marks.ask(somebody({ ...both, epoch: 2 }))).toBe('good')
  })

  it('let nobody in to an account that is disabled, whatever its epoch', async () => {
    const anna = somebody({ epoch: 9 })
    await add(changeOf(anna, 4, { isActive: false, epoch: 2 }))
    expect(await marks.ask(anna)).toBe('ended')
  })

  it('refuse tokens that claim other roles, in whatever order they stand', async () => {
    const anna = somebody({ roles: ['user', 'admin'] })
    await add(changeOf(anna, 4, { roles: ['admin', 'user'] }))
    expect(await marks.ask(anna)).toBe('good')
    await add(changeOf(anna, 5, { roles: ['user'] }))
    expect(await marks.ask(anna)).toBe('stale')
    expect(await marks.ask({ ...anna, roles: ['user'] })).toBe('good')
    expect(await marks.ask({ ...anna, roles: ['user', 'user'] })).toBe('stale')
  })

  it('of a higher revision stay, whichever comes last', async () => {
    const anna = somebody()
    await add(changeOf(anna, 5, { isActive: false, epoch: 2 }))
    await add(changeOf(anna, 4, {}))
    expect(await marks.ask(anna)).toBe('ended')
  })
})

describe('a change that was announced', () => {
  const account = ({ userId }: Bearer) => ({ about: 'account' as const, id: userId })
  const session = ({ sessionId }: Bearer) => ({ about: 'session' as const, id: sessionId })
  beforeEach(() => marks.complete(nothing))

  it('has its session or account looked up, until it is told how it ended', async () => {
    const anna = somebody()
    for (const subject of [account(anna), session(anna)]) {
      await marks.announce(subject, 'one')
      expect(await marks.ask(anna)).toBe('unknown')
      await marks.settle(subject, 'one')
      expect(await marks.ask(anna)).toBe('good')
    }
    await marks.announce(account(anna), 'two')
    await marks.settle(changeOf(anna, 4, { epoch: 2 }), 'two')
    expect(await marks.ask(anna)).toBe('ended')
  })

  it('of a process that was killed stays open, whatever others do', async () => {
    const anna = somebody()
    await marks.announce(account(anna), 'killed')
    await marks.announce(account(anna), 'other')
    await marks.settle(changeOf(anna, 4, {}), 'other')
    expect(await marks.ask(anna)).toBe('unknown')
    expect(await marks.verdictOn(anna, async () => 'ended')).toBe('ended')
  })

  it('is looked up at each request: what was found before it ended may have changed', async () => {
    const anna = somebody()
    await marks.announce(account(anna), 'one')
    const verdicts: Verdict[] = ['good', 'ended']
    expect(await marks.verdictOn(anna, async () => verdicts.shift()!)).toBe('good')
    expect(await marks.verdictOn(anna, async () => verdicts.shift()!)).toBe('ended')
  })

  it('is forgotten when tokens from before are out of their time', async () => {
    const anna = somebody()
    await marks.announce(account(anna), 'one')
    expect(await redis.pttl(`revoked:account:${anna.userId}`)).toBeGreaterThan(50_000)
    const open = JSON.stringify({ open: { one: Date.now() - 1 } })
    await redis.set(`revoked:account:${anna.userId}`, open, 'PX', 60_000)
    expect(await marks.ask(anna)).toBe('good')
  })
})

describe('while Redis has not heard of older changes', () => {
  /** Facts that say the same each time, and count how often they were asked. */
  const factsThatSay = (verdict: Verdict) => {
    const look = Object.assign(async () => (look.count++, verdict), { count: 0 })
    return look
  }

  it('the facts are asked once for who is found good, and a change is heard of all the same', async () => {
    await marks.complete(async () => undefined)
    const [anna, look] = [somebody(), factsThatSay('good')]
    for (let i = 0; i < 3; i++) expect(await marks.verdictOn(anna, look)).toBe('good')
    expect(look.count).toBe(1)
    await add(changeOf(anna, 4, { epoch: 2 }))
    expect(await marks.verdictOn(anna, look)).toBe('ended')
    expect(look.count).toBe(1)
  })

  it('the facts are asked each time for an ended session: what Redis does not know is not kept here', async () => {
    await marks.complete(async () => undefined)
    const [anna, look] = [somebody(), factsThatSay('ended')]
    for (let i = 0; i < 3; i++) expect(await marks.verdictOn(anna, look)).toBe('ended')
    expect(look.count).toBe(3)
  })

  it('what the facts said of one token is not said of another of the same session', async () => {
    await marks.complete(async () => undefined)
    const anna = somebody()
    expect(await marks.verdictOn(anna, factsThatSay('good'))).toBe('good')
    const older = { ...anna, roles: ['user', 'admin'] }
    expect(await marks.verdictOn(older, factsThatSay('stale'))).toBe('stale')
  })

  it('what the facts said is forgotten with the memory of Redis', async () => {
    await marks.complete(async () => undefined)
    const anna = somebody()
    expect(await marks.verdictOn(anna, factsThatSay('good'))).toBe('good')
    await redis.flushdb()
    await marks.complete(async () => undefined)
    expect(await marks.verdictOn(anna, factsThatSay('ended'))).toBe('ended')
  })

  it('what the facts said before Redis heard of changes is not kept', async () => {
    const [anna, look] = [somebody(), factsThatSay('good')]
    for (let i = 0; i < 3; i++) expect(await marks.verdictOn(anna, look)).toBe('good')
    expect(look.count).toBe(3)
  })

  it('what the facts said is not kept when Redis was emptied during the look', async () => {
    await marks.complete(async () => undefined)
    const anna = somebody()
    const look = async (): Promise<Verdict> => {
      await redis.flushdb()
      await marks.complete(async () => undefined)
      return 'good'
    }
    expect(await marks.verdictOn(anna, look)).toBe('good')
    expect(await marks.verdictOn(anna, factsThatSay('ended'))).toBe('ended')
  })
})

describe('a Redis', () => {
  it('is told again what a killed process has not told it', async () => {
    const anna = somebody()
    await marks.complete(nothing)
    expect(await marks.ask(anna)).toBe('good')
    await marks.repeat(async () => [changeOf(anna, 4, { epoch: 2 })])
    expect(await marks.ask(anna)).toBe('ended')
  })

  it('that does not answer says nothing', async () => {
    const away = createRedis('redis://127.0.0.1:1', log)
    const unheard = createRevocationMarks({ redis: away, log, markMs: 60_000, onSkipped: () => (skipped += 1) })
    const before = skipped
    expect(await unheard.ask(somebody())).toBe('unknown')
    expect(skipped).toBeGreaterThan(before)
    unheard.close()
    away.disconnect()
  })
})
