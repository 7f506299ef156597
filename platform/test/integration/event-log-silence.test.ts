import { randomUUID } from 'node:crypto'
import { afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals'
import { createEventLog, eventLogDeadlines, type EventLog, type EventLogDeadlines } from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import {
  eventually,
  startSilentProxy,
  testScope,
  type SilentProxy,
  type TestEventStore,
} from '@annals/platform/testing'

jest.setTimeout(60_000)

const silent = createLogger('test', 'silent')
/** A fifth of the real ones: what is waited for is the same, and shorter. */
const shortDeadlines = { appendMs: 1_000, answerMs: 1_000, quietMs: 2_000, renewEveryMs: 1_000 }

const scope = testScope('file')
let store: TestEventStore
let proxy: SilentProxy
let log: EventLog

beforeAll(async () => {
  store = await scope.eventStore()
})
beforeEach(async () => {
  const { hostname: host, port } = new URL(store.url.replace('esdb:', 'http:'))
  proxy = await startSilentProxy({ host, port: Number(port) })
})
afterEach(async () => {
  await log.close()
  await proxy.close()
})

/** @param more settings of the client. */
const open = (deadlines: EventLogDeadlines, more = '') =>
  createEventLog(`esdb://127.0.0.1:${proxy.port}?tls=false${more}`, silent, deadlines)
const fact = () => ({ id: randomUUID(), type: 'test.happened', data: {}, metadata: {} })
const newStream = () => `test-${randomUUID()}`

it('appends on a new connection what a dead one did not answer, once, and long before the client notices', async () => {
  // The real ones, against the client's own 20 s.
  log = open(eventLogDeadlines)
  await log.append(newStream(), [fact()], -1)
  for (const what of ['both', 'answers'] as const) {
    proxy.silence('established', what)
    const stream = newStream()
    const began = performance.now()
    expect(await log.append(stream, [fact()], -1)).toMatchObject({ revision: 0 })
    expect(performance.now() - began).toBeLessThan(8_000)
    expect(await log.readStream(stream)).toHaveLength(1)
  }
})

it('reads again at once after one read that a dead connection did not answer', async () => {
  log = open(shortDeadlines)
  const stream = newStream()
  await eventually(() => log.append(stream, [fact(), fact()], -1))
  proxy.silence('established')
  await expect(log.readStream(stream)).rejects.toThrow('no answer within')
  const began = performance.now()
  expect(await log.readStream(stream)).toHaveLength(2)
  expect(performance.now() - began).toBeLessThan(1_000)
})

it('appends again after a connection that fell silent while it was made', async () => {
  // The client's own keepalive notices after two seconds instead of twenty, in the middle of our attempts.
  log = open({ ...shortDeadlines, appendMs: 1_500 }, '&keepAliveInterval=1000&keepAliveTimeout=1000')
  await log.append(newStream(), [fact()], -1)
  proxy.silence('all', 'answers')
  const stream = newStream()
  await expect(log.append(stream, [fact()], -1)).rejects.toThrow('was not answered')
  proxy.restore()
  await eventually(() => log.append(newStream(), [fact()], -1), { withinMs: 15_000 })
  // And so from now on.
  for (let i = 0; i < 10; i++) await log.append(newStream(), [fact()], -1)
  expect((await log.readStream(stream)).length).toBeLessThanOrEqual(1)
})

it('follows on by itself, without an event lost or told twice', async () => {
  log = open(shortDeadlines)
  const seen: string[] = []
  const ending = new AbortController()
  const direct = createEventLog(store.url, silent)
  const after = await direct.head()
  const following = (async () => {
    for await (const { id } of log.subscribe({ after, prefixes: ['test-'], signal: ending.signal })) seen.push(id)
  })()
  const wanted: string[] = []
  const append = async () => {
    const event = fact()
    wanted.push(event.id)
    await direct.append(newStream(), [event], -1)
  }
  await append()
  await eventually(() => expect(seen).toEqual(wanted))
  proxy.silence('established')
  for (let i = 0; i < 5; i++) await append()
  await eventually(() => expect(seen).toEqual(wanted), { withinMs: 30_000 })
  ending.abort()
  await following
  await direct.close()
})
