import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import {
  appendErrorKind,
  createEventLog,
  UnknownAppendOutcome,
  type EventLog,
  type LogEvent,
} from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import { eventually, startTestEventStore, type TestEventStore } from '@annals/platform/testing'

const silent = createLogger('test', 'silent')
let store: TestEventStore
let log: EventLog

beforeAll(async () => {
  store = await startTestEventStore()
  log = createEventLog(store.url, silent)
})
afterEach(() => store.thaw())
afterAll(async () => {
  await log?.close()
  await store?.remove()
})

const fact = (text = 'x') => ({ id: randomUUID(), type: 'test.happened', data: { text }, metadata: { tenant: 'main' } })
const newStream = (category = 'test') => `${category}-${randomUUID()}`
const kindOf = (work: Promise<unknown>) => work.then(() => 'done', appendErrorKind)
const textOf = ({ data }: LogEvent) => (data as { text: string }).text

describe('appending', () => {
  it('says where the last event stands, as reading does', async () => {
    const stream = newStream()
    const appended = await log.append(stream, [fact('a'), fact('b')], -1)
    const events = await log.readStream(stream)
    expect(events.map(textOf)).toEqual(['a', 'b'])
    expect(events.map(({ revision }) => revision)).toEqual([0, 1])
    expect(appended).toEqual({ revision: 1, position: events[1]!.position })
    expect(events[0]).toMatchObject({ stream, type: 'test.happened', metadata: { tenant: 'main' } })
    expect(await log.head()).toBeGreaterThanOrEqual(events[1]!.position)
  })

  it('at another revision is a conflict, and writes nothing', async () => {
    const stream = newStream()
    await log.append(stream, [fact()], -1)
    for (const revision of [-1, 1, 7]) expect(await kindOf(log.append(stream, [fact()], revision))).toBe('conflict')
    expect(await log.readStream(stream)).toHaveLength(1)
  })

  it('lets one of many writers at one revision through', async () => {
    const stream = newStream()
    const kinds = await Promise.all(Array.from({ length: 20 }, () => kindOf(log.append(stream, [fact()], -1))))
    expect(kinds.filter((kind) => kind === 'done')).toHaveLength(1)
    expect(kinds.filter((kind) => kind === 'conflict')).toHaveLength(19)
  })

  it('of the same events again is answered as the first time, even after others were appended', async () => {
    const stream = newStream()
    const first = fact()
    const appended = await log.append(stream, [first], -1)
    await log.append(stream, [fact()], 0)
    expect(await log.append(stream, [first], -1)).toEqual(appended)
    expect(await log.readStream(stream)).toHaveLength(2)
  })

  it('to a frozen server has an unknown outcome within 20 s, and its repeat finds one event', async () => {
    const stream = newStream()
    const once = fact()
    await log.append(newStream(), [fact()], -1)
    store.freeze()
    const startedAt = Date.now()
    await expect(log.append(stream, [once], -1)).rejects.toThrow(UnknownAppendOutcome)
    expect(Date.now() - startedAt).toBeLessThan(20_000)
    store.thaw()
    await eventually(() => log.append(stream, [once], -1))
    expect(await log.readStream(stream)).toHaveLength(1)
  }, 60_000)
})

describe('reading', () => {
  it('finds nothing in a stream that is not there', async () => expect(await log.readStream(newStream())).toEqual([]))

  it('begins at a revision', async () => {
    const stream = newStream()
    await log.append(stream, [fact('a'), fact('b'), fact('c')], -1)
    expect((await log.readStream(stream, 1)).map(textOf)).toEqual(['b', 'c'])
  })

  it('of a frozen server fails within 10 s', async () => {
    const stream = newStream()
    await log.append(stream, [fact()], -1)
    store.freeze()
    const startedAt = Date.now()
    await expect(log.readStream(stream)).rejects.toThrow()
    await expect(log.head()).rejects.toThrow()
    expect(Date.now() - startedAt).toBeLessThan(15_000)
    store.thaw()
    await eventually(async () => expect(await log.readStream(stream)).toHaveLength(1))
  }, 40_000)

  it('of everything is in log order, by category, after a position, and may be left early', async () => {
    const category = `c${randomUUID().slice(0, 8)}`
    const others = newStream()
    for (let i = 0; i < 5; i++) {
      await log.append(newStream(category), [fact(String(i))], -1)
      await log.append(others, [fact()], i - 1)
    }
    const read = async (after: bigint | undefined, max = Number.POSITIVE_INFINITY) => {
      const events: LogEvent[] = []
      for await (const event of log.readAll({ after, prefixes: [`${category}-`] })) {
        events.push(event)
        if (events.length >= max) break
      }
      return events
    }
    const all = await read(undefined)
    expect(all.map(textOf)).toEqual(['0', '1', '2', '3', '4'])
    expect((await read(all[2]!.position)).map(textOf)).toEqual(['3', '4'])
    expect((await read(undefined, 2)).map(textOf)).toEqual(['0', '1'])
  })
})

describe('a subscription', () => {
  it('hands out what there is and what comes, each once and in order, over two deaths of the server', async () => {
    const category = `s${randomUUID().slice(0, 8)}`
    const stream = newStream(category)
    const seen: LogEvent[] = []
    const stop = new AbortController()
    let revision = -1
    const append = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const event = fact(String(revision + 1))
        const expected = revision
        await eventually(() => log.append(stream, [event], expected))
        revision++
      }
    }
    await append(3)
    const reading = (async () => {
      for await (const event of log.subscribe({ after: undefined, prefixes: [`${category}-`], signal: stop.signal }))
        seen.push(event)
    })()
    for (let death = 0; death < 2; death++) {
      await append(5)
      await eventually(() => expect(seen.length).toBe(revision + 1))
      await store.kill()
      await store.start()
      await append(5)
    }
    await eventually(() => expect(seen.length).toBe(revision + 1), { withinMs: 20_000 })
    stop.abort()
    await reading
    expect(seen.map(({ revision }) => revision)).toEqual(Array.from({ length: revision + 1 }, (_, i) => i))
  }, 90_000)

  it('resumes after the position that it is given', async () => {
    const category = `r${randomUUID().slice(0, 8)}`
    const stream = newStream(category)
    const { position } = await log.append(stream, [fact('a')], -1)
    await log.append(stream, [fact('b')], 0)
    const stop = new AbortController()
    for await (const event of log.subscribe({ after: position, prefixes: [`${category}-`], signal: stop.signal })) {
      expect(textOf(event)).toBe('b')
      stop.abort()
    }
  })
})

describe('a log that is closed', () => {
  it('closes although a read was left and the server is frozen', async () => {
    const other = createEventLog(store.url, silent)
    for await (const _ of other.readAll({ after: undefined })) break
    store.freeze()
    const startedAt = Date.now()
    await other.close()
    expect(Date.now() - startedAt).toBeLessThan(5_000)
  })
})

describe('a connection that breaks with a thousand appends waiting', () => {
  it('fails or completes each of them, and ends no process', async () => {
    const work = Array.from({ length: 1_000 }, () =>
      log.append(newStream(), [fact('x'.repeat(500))], -1).then(() => 'done', appendErrorKind),
    )
    await store.kill()
    await store.start()
    const kinds = await Promise.all(work)
    for (const kind of new Set(kinds)) expect(['done', 'unknown']).toContain(kind)
    await eventually(() => log.append(newStream(), [fact()], -1))
  }, 60_000)
})
