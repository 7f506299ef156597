import { randomUUID } from 'node:crypto'
import { EventStoreDBClient } from '@eventstore/db-client'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import {
  appendErrorKind,
  createEventLog,
  LogChanged,
  StreamDeleted,
  UnknownAppendOutcome,
  type EventLog,
  type LogEvent,
} from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import { eventually, testScope, type TestEventStore } from '@annals/platform/testing'

const silent = createLogger('test', 'silent')
let store: TestEventStore
let log: EventLog
/** Waits a fifth as long for a server that is frozen, and does all else as the other does. */
let impatient: EventLog
const shortDeadlines = { appendMs: 1_000, answerMs: 1_000, quietMs: 2_000, renewEveryMs: 1_000 }

const scope = testScope('file')
beforeAll(async () => {
  store = await scope.eventStore()
  log = scope.add(createEventLog(store.url, silent), (it) => it.close())
  impatient = scope.add(createEventLog(store.url, silent, shortDeadlines), (it) => it.close())
})
afterEach(() => store.thaw())

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

  it('to a frozen server has an unknown outcome after its attempts, and its repeat finds one event', async () => {
    const stream = newStream()
    const once = fact()
    await eventually(() => impatient.append(newStream(), [fact()], -1))
    store.freeze()
    const startedAt = Date.now()
    await expect(impatient.append(stream, [once], -1)).rejects.toThrow(UnknownAppendOutcome)
    // Three attempts of a second each, and the pauses between them.
    expect(Date.now() - startedAt).toBeLessThan(8_000)
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

  it('of a frozen server fails in time', async () => {
    const stream = newStream()
    await log.append(stream, [fact()], -1)
    store.freeze()
    const startedAt = Date.now()
    await expect(impatient.readStream(stream)).rejects.toThrow()
    await expect(impatient.head()).rejects.toThrow()
    expect(Date.now() - startedAt).toBeLessThan(6_000)
    store.thaw()
    await eventually(async () => expect(await impatient.readStream(stream)).toHaveLength(1))
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

describe('a log', () => {
  it('is told from another by its first event, which its head, its growth and its own events do not change', async () => {
    await store.putBack('nothing')
    expect(await log.identity()).toBeUndefined()
    const others = EventStoreDBClient.connectionString(store.url)
    await others.setStreamMetadata('test-settings', { maxCount: 5 })
    expect(await log.identity()).toBeUndefined()
    const first = fact()
    await log.append(newStream(), [first], -1)
    await log.append(newStream(), [fact()], -1)
    expect(await log.identity()).toBe(first.id)
    await store.putBack('nothing')
    await eventually(() => log.append(newStream(), [fact()], -1))
    expect(await log.identity()).not.toBe(first.id)
    await others.dispose()
  }, 30_000)

  it('says what lies at a position, and nothing for one between events or beyond the end', async () => {
    const stream = newStream()
    await log.append(stream, [fact('a'), fact('b')], -1)
    const [a, b] = await log.readStream(stream)
    expect(await log.eventAt(a!.position)).toEqual(a)
    expect(await log.eventAt(b!.position)).toEqual(b)
    for (const nothing of [a!.position + 1n, b!.position + 1_000_000n, -1n, 2n ** 64n])
      expect(await log.eventAt(nothing)).toBeUndefined()
  })

  it('tells what was written lately, newest first, over any number of pages, or that it is too much', async () => {
    const prefixes = ['late-']
    const [earlier, later] = [newStream('late'), newStream('late')]
    await log.append(earlier, [fact('before')], -1)
    const [before] = await log.readStream(earlier)
    const since = before!.createdAt + 1
    await eventually(() => expect(Date.now()).toBeGreaterThan(since))
    const texts = Array.from({ length: 1_200 }, (_, i) => String(i))
    await log.append(later, texts.map(fact), -1)
    await log.append(newStream(), [fact('of another category')], -1)

    const found = await log.recent({ since, prefixes, countMax: 5_000 })
    expect(found!.map(textOf)).toEqual(texts.toReversed())
    expect((await log.recent({ since: 0, prefixes, countMax: 5_000 }))!.map(textOf)).toContain('before')
    expect(await log.recent({ since, prefixes, countMax: 1_000 })).toBeUndefined()
  })

  it('says when an event was appended, whatever its metadata say', async () => {
    const stream = newStream()
    const before = Date.now()
    await log.append(stream, [{ ...fact(), metadata: { occurredAt: '2999-01-01T00:00:00.000Z' } }], -1)
    const [event] = await log.readStream(stream)
    expect(event!.createdAt).toBeGreaterThanOrEqual(before)
    expect(event!.createdAt).toBeLessThanOrEqual(Date.now())
  })

  it('hands out the last event of a stream alone', async () => {
    const stream = newStream()
    expect(await log.lastOf(stream)).toBeUndefined()
    await log.append(stream, [fact('a'), fact('b'), fact('c')], -1)
    expect(await log.lastOf(stream)).toEqual((await log.readStream(stream))[2])
  })

  it('keeps the events of its server to itself, and names a stream that was deleted for good', async () => {
    const category = `d${randomUUID().slice(0, 8)}`
    const [hard, soft] = [newStream(category), newStream(category)]
    for (const stream of [hard, soft]) await log.append(stream, [fact(stream)], -1)
    const others = EventStoreDBClient.connectionString(store.url)
    await others.tombstoneStream(hard)
    await others.deleteStream(soft)
    await others.dispose()
    const last = await log.append(newStream(category), [fact('last')], -1)

    await expect(log.readStream(hard)).rejects.toThrow(StreamDeleted)
    await expect(log.readStream(hard)).rejects.toMatchObject({ stream: hard })
    expect(await log.readStream(soft)).toEqual([])
    await expect(log.lastOf(hard)).rejects.toThrow(StreamDeleted)
    expect(await log.lastOf(soft)).toBeUndefined()
    expect(await kindOf(log.append(hard, [fact()], 0))).toBe('refused')
    await expect(log.append(hard, [fact()], 0)).rejects.toThrow(StreamDeleted)
    const texts: string[] = []
    for await (const event of log.readAll({ after: undefined, prefixes: [`${category}-`] })) texts.push(textOf(event))
    expect(texts).toEqual([hard, soft, 'last'])
    for await (const event of log.readAll({ after: undefined })) expect(event.type).not.toMatch(/^\$/)

    const stop = new AbortController()
    const subscribed: string[] = []
    for await (const event of log.subscribe({ after: undefined, prefixes: [`${category}-`], signal: stop.signal })) {
      subscribed.push(textOf(event))
      if (event.position === last.position) stop.abort()
    }
    expect(subscribed).toEqual([hard, soft, 'last'])
  })

  it('that was replaced by an older copy is not read on in as if it were the same', async () => {
    const category = `o${randomUUID().slice(0, 8)}`
    const stream = newStream(category)
    await log.append(stream, [fact('0')], -1)
    const backup = await store.backUp()
    await eventually(() => log.append(stream, [fact('lost')], 0))

    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const event of log.subscribe({ after: undefined, prefixes: [`${category}-`], signal: stop.signal }))
        seen.push(textOf(event))
    })()
    reading.catch(() => undefined)
    await eventually(() => expect(seen).toEqual(['0', 'lost']))
    await store.putBack(backup)
    // Beyond the position at which the subscription stands: without the comparison it would go on there.
    for (let revision = 0; revision < 5; revision++)
      await eventually(() => log.append(stream, [fact('x'.repeat(2_000))], revision))
    await expect(reading).rejects.toThrow(LogChanged)
    expect(seen).toEqual(['0', 'lost'])
  }, 60_000)

  it('is compared with the id that a subscription is given', async () => {
    const stream = newStream()
    const { position } = await log.append(stream, [fact('a')], -1)
    await log.append(stream, [fact('b')], 0)
    const given = (afterId: string) => log.subscribe({ after: position, afterId, signal: AbortSignal.timeout(20_000) })
    await expect(given(randomUUID())[Symbol.asyncIterator]().next()).rejects.toThrow(LogChanged)
    const [a] = await log.readStream(stream)
    const next = await given(a!.id)[Symbol.asyncIterator]().next()
    expect(textOf(next.value as LogEvent)).toBe('b')
  })
})

describe('a server that is frozen', () => {
  it('ends a long read in time, and a subscription goes on when it is back', async () => {
    const category = `f${randomUUID().slice(0, 8)}`
    const stream = newStream(category)
    // More than a connection holds: the read is in its middle when the server freezes.
    for (let i = 0; i < 20; i++)
      await log.append(
        stream,
        Array.from({ length: 50 }, () => fact('x'.repeat(5_000))),
        50 * i - 1,
      )
    const stop = new AbortController()
    const seen: number[] = []
    const subscribed = (async () => {
      for await (const event of impatient.subscribe({
        after: undefined,
        prefixes: [`${category}-`],
        signal: stop.signal,
      }))
        seen.push(event.revision)
    })()
    await eventually(() => expect(seen).toHaveLength(1_000), { withinMs: 30_000 })

    const reads = [{}, { prefixes: [`${category}-`] }].map((filter) =>
      impatient.readAll({ after: undefined, ...filter })[Symbol.asyncIterator](),
    )
    for (const read of reads) await read.next()
    store.freeze()
    const startedAt = Date.now()
    const restOf = async (read: AsyncIterator<LogEvent>) => {
      while (!(await read.next()).done);
    }
    for (const ended of await Promise.allSettled(reads.map(restOf))) expect(ended.status).toBe('rejected')
    expect(Date.now() - startedAt).toBeLessThan(6_000)
    // So long that the subscription has asked for the head as well, and has given its connection up.
    await eventually(() => expect(Date.now() - startedAt).toBeGreaterThan(4_500))
    store.thaw()
    await eventually(() => log.append(stream, [fact()], 999))
    await eventually(() => expect(seen).toHaveLength(1_001), { withinMs: 20_000 })
    stop.abort()
    await subscribed
    expect(seen).toEqual(Array.from({ length: 1_001 }, (_, i) => i))
  }, 90_000)
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
