import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it, jest } from '@jest/globals'
import { createEventLog } from '@annals/platform/event-log'
import { createTopics } from '@annals/platform/kafka'
import { createMetrics } from '@annals/platform/metrics'
import { eventually, testScope, typescriptProcess, type TestEventStore } from '@annals/platform/testing'
import { noWishes } from '../../../src/relay/assess'
import { RelayRefusal } from '../../../src/relay/refusals'
import { createRelayMetrics } from '../../../src/relay/relay-metrics'
import type { Route } from '../../../src/relay/route'
import {
  compare,
  fill,
  kafka,
  log,
  newCategory,
  nothingWrong,
  publisherFor,
  readTopics,
  removeTopicsOf,
  routeOver,
  startRelay,
  topicFor,
  type Written,
} from './relay-world'

jest.setTimeout(120_000)
const soon = <T>(check: () => T) => eventually(check, { withinMs: 40_000 })

const scope = testScope()

const topics = createTopics(kafka)

/** A log of the test's own, two categories with a topic each, and a relay that can be started again. */
async function world() {
  const store = await scope.eventStore()
  const eventLog = scope.add(createEventLog(store.url, log), (it) => it.close())
  const [a, b] = [newCategory(), newCategory()] as const
  const route = routeOver(`test.relay.${a}`, [topicFor(a), topicFor(b)])
  const [first, second] = route.topics.map(({ topic }) => topic) as [string, string]
  removeTopicsOf(scope, route)
  const relay = (more: Partial<Parameters<typeof startRelay>[2]> = {}) =>
    startRelay(route, scope, { eventLog, ...more })
  return { store, eventLog, a, b, route, first, second, relay }
}

/** What a topic holds now, read from its beginning. */
async function contentOf(route: Route, topic: string) {
  const reader = await readTopics(scope, { ...route, topics: route.topics.filter((spec) => spec.topic === topic) })
  return reader.seen
}

async function holds(route: Route, topic: string, written: readonly Written[]) {
  const seen = await contentOf(route, topic)
  await soon(() => expect(seen.length).toBeGreaterThanOrEqual(written.length))
  expect(compare(written, seen)).toEqual(nothingWrong)
}

const refusalOf = async (ready: () => Promise<void>): Promise<RelayRefusal> => {
  const error: unknown = await ready().catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(RelayRefusal)
  return error as RelayRefusal
}

describe('a topic that is deleted', () => {
  it('is not made again in silence, is filled once each, and the relay that refused goes on by itself', async () => {
    const { eventLog, a, b, route, first, second, relay } = await world()
    const registry = createMetrics('relay')
    const running = relay({ metrics: createRelayMetrics(registry, 'test') })
    const [inA, inB] = [await fill(eventLog, a, 100), await fill(eventLog, b, 100)]
    await soon(() => expect(running.role()).toBe('leader'))
    const reader = await readTopics(scope, route)
    await soon(() => expect(reader.seen.length).toBe(200))
    await reader.stop()
    await topics.remove([first])
    await soon(() => expect(running.role()).toBe('refused'))
    const refusal = await refusalOf(running.ready)
    expect(refusal.message).toContain(`Topic ${first} is missing`)
    expect(refusal.message).toContain(`npm run relay -- --refill ${first}`)
    expect((await registry.getSingleMetric('annals_relay_refused')!.get()).values[0]?.value).toBe(1)
    inA.push(...(await fill(eventLog, a, 40)))
    inB.push(...(await fill(eventLog, b, 40)))
    expect(await topics.offsets(first)).toBeUndefined()

    await relay({ untilCaughtUp: true, wishes: { ...noWishes, refill: [first] } }).ended
    await soon(() => expect(running.role()).not.toBe('refused'))
    inA.push(...(await fill(eventLog, a, 20)))
    await holds(route, first, inA)
    await holds(route, second, inB)
    await soon(() => running.ready())
  })

  it('and made anew while no relay runs is noticed, also when it has records of somebody else', async () => {
    const { eventLog, a, b, route, first, second, relay } = await world()
    const [inA, inB] = [await fill(eventLog, a, 60), await fill(eventLog, b, 60)]
    await relay({ untilCaughtUp: true }).ended
    await topics.remove([first])
    await topics.ensure(route.topics, 1)
    const refused = relay({ untilCaughtUp: true })
    await expect(refused.ended).rejects.toThrow(/was deleted and made anew/)
    await expect(refused.ended).rejects.toBeInstanceOf(RelayRefusal)

    const foreign = publisherFor({ ...route, name: `${route.name}.other` })
    await foreign.takeOver()
    const record = { topic: first, partition: 0, key: 'x', value: '1', headers: {}, timestamp: '1' }
    await foreign.publish([record], 1n)
    await foreign.close()
    const wishes = { ...noWishes, refill: [first] }
    await expect(relay({ untilCaughtUp: true, wishes }).ended).rejects.toThrow(/--delete-topics/)
    await relay({ untilCaughtUp: true, wishes: { ...wishes, deleteTopics: true } }).ended
    // Said again: it is there already, and nothing is done twice.
    await relay({ untilCaughtUp: true, wishes: { ...wishes, deleteTopics: true } }).ended
    await holds(route, first, inA)
    await holds(route, second, inB)
  })

  it('is filled once each although the relay that fills it is killed again and again', async () => {
    const { store, eventLog, a, b, route, first, second, relay } = await world()
    const [inA, inB] = [await fill(eventLog, a, 1_000), await fill(eventLog, b, 200)]
    await relay({ untilCaughtUp: true }).ended
    await topics.remove([first])
    await topics.ensure(route.topics, 1)
    const seen = await contentOf(route, first)
    for (let kill = 0; kill < 4; kill++) {
      const before = seen.length
      const child = startFilling(store, a, b, first)
      await soon(() => expect(seen.length).toBeGreaterThan(before))
      await child.end('SIGKILL')
    }
    expect(seen.length).toBeLessThan(1_000)
    inB.push(...(await fill(eventLog, b, 40)))
    // Without the option: what was begun is gone on with.
    await relay({ untilCaughtUp: true }).ended
    await soon(() => expect(seen.length).toBe(1_000))
    expect(compare(inA, seen)).toEqual(nothingWrong)
    await holds(route, second, inB)
  })

  it('before it had any record is made again, and so is one of a category that is new', async () => {
    const { eventLog, a, b, route, first, second, relay } = await world()
    const inA = await fill(eventLog, a, 40)
    await relay({ untilCaughtUp: true }).ended
    await topics.remove([second])
    // Older than the relay's turn to it: a service of the next release was there before the relay of that release.
    const c = newCategory()
    const early = await fill(eventLog, c, 40)
    const inB = await fill(eventLog, b, 40)
    await relay({ untilCaughtUp: true }).ended
    const wider = routeOver(route.name, [...route.topics, topicFor(c)])
    await startRelay(wider, scope, { eventLog, untilCaughtUp: true }).ended
    await holds(wider, first, inA)
    await holds(wider, second, inB)
    await holds(wider, `test.relay.${c}`, early)
  })

  it('with the checkpoint as well, as when Kafka was emptied, is begun anew by itself', async () => {
    const { eventLog, a, b, route, first, second, relay } = await world()
    const [inA, inB] = [await fill(eventLog, a, 40), await fill(eventLog, b, 40)]
    await relay({ untilCaughtUp: true }).ended
    await topics.remove([first, second])
    const emptied = { ...route, name: `${route.name}.emptied` }
    await startRelay(emptied, scope, { eventLog, untilCaughtUp: true }).ended
    await holds(route, first, inA)
    await holds(route, second, inB)
  })
})

/** A relay that fills, as a process of its own. */
function startFilling(store: TestEventStore, a: string, b: string, topic: string) {
  const file = join(__dirname, 'refill-process.ts')
  return scope.process(typescriptProcess(file, store.url, a, b, topic))
}

describe('a log that goes back', () => {
  it('under a relay is refused before anything of it is published, and nothing is lost when the newer one is put back', async () => {
    const { store, eventLog, a, route, first, relay } = await world()
    const inA = await fill(eventLog, a, 60)
    const old = await store.backUp()
    inA.push(...(await eventually(() => fill(eventLog, a, 60))))
    const running = relay()
    const seen = await contentOf(route, first)
    await soon(() => expect(seen.length).toBe(120))
    const newer = await store.backUp()
    await store.putBack(old)
    await soon(() => expect(running.role()).toBe('refused'))
    const refusal = await refusalOf(running.ready)
    expect(refusal.message).toMatch(/the log ends at \d+/)
    expect(refusal.message).toContain('--accept-log --delete-topics')
    // It outgrows the position: another event lies there now, or none.
    const wrong = await eventually(() => fill(eventLog, a, 200))
    await refusalOf(running.ready)
    expect(seen.filter(({ id }) => wrong.some((event) => event.id === id))).toEqual([])

    await store.putBack(newer)
    await soon(() => expect(running.role()).toBe('leader'))
    inA.push(...(await eventually(() => fill(eventLog, a, 20))))
    await soon(() => expect(seen.length).toBe(140))
    expect(compare(inA, seen)).toEqual(nothingWrong)
  })

  it('and has outgrown the checkpoint is refused, and taken as it is when an operator says so', async () => {
    const { store, eventLog, a, b, route, first, second, relay } = await world()
    const inA = await fill(eventLog, a, 60)
    const old = await store.backUp()
    await eventually(() => fill(eventLog, a, 60))
    await eventually(() => fill(eventLog, b, 20))
    await relay({ untilCaughtUp: true }).ended
    await store.putBack(old)
    inA.push(...(await eventually(() => fill(eventLog, a, 400))))

    const waiting = relay()
    await soon(() => expect(waiting.role()).toBe('refused'))
    const wishes = { ...noWishes, acceptLog: true }
    await expect(relay({ untilCaughtUp: true, wishes }).ended).rejects.toThrow(/still has records|still have records/)
    await relay({ untilCaughtUp: true, wishes: { ...wishes, deleteTopics: true } }).ended
    await relay({ untilCaughtUp: true, wishes: { ...wishes, deleteTopics: true } }).ended
    await soon(() => expect(waiting.role()).not.toBe('refused'))
    await holds(route, first, inA)
    const inB = await fill(eventLog, b, 20)
    await holds(route, second, inB)
  })

  it('to nothing is refused as well', async () => {
    const { store, eventLog, a, relay } = await world()
    await fill(eventLog, a, 20)
    await relay({ untilCaughtUp: true }).ended
    await store.putBack('nothing')
    await expect(relay({ untilCaughtUp: true }).ended).rejects.toThrow(/the log is empty/)
    await eventually(() => fill(eventLog, a, 200))
    await expect(relay({ untilCaughtUp: true }).ended).rejects.toThrow(/It is another log/)
  })

  it('is noticed by a relay that stands by, though nothing comes that it could take over for', async () => {
    const { store, eventLog, a, relay } = await world()
    const old = await store.backUp()
    await eventually(() => fill(eventLog, a, 40))
    const first = relay({ lookEveryMs: 200 })
    await soon(() => expect(first.role()).toBe('leader'))
    const second = relay()
    await soon(() => expect(second.role()).toBe('leader'))
    // Which the first learns when it has something to publish.
    await fill(eventLog, a, 20)
    await soon(() => expect(first.role()).toBe('standby'))
    await second.stop()
    await store.putBack(old)
    await soon(() => expect(first.role()).toBe('refused'))
    await refusalOf(first.ready)
  })
})

describe('a checkpoint of a former release', () => {
  /** As it was written before: a position, and nothing beside it. */
  async function forget(route: Route) {
    const publisher = publisherFor(route)
    const committed = await publisher.takeOver()
    await publisher.publish([], committed!.position)
    await publisher.close()
  }

  it('is gone on from, also beside a topic whose category never had an event', async () => {
    const { eventLog, a, b, route, first, second, relay } = await world()
    const inA = await fill(eventLog, a, 60)
    await relay({ untilCaughtUp: true }).ended
    await forget(route)
    await topics.remove([second])
    inA.push(...(await fill(eventLog, a, 20)))
    await relay({ untilCaughtUp: true }).ended
    const inB = await fill(eventLog, b, 20)
    await relay({ untilCaughtUp: true }).ended
    await holds(route, first, inA)
    await holds(route, second, inB)
  })

  it('beside a topic that should have records is refused', async () => {
    const { eventLog, a, b, route, first, second, relay } = await world()
    const [inA, inB] = [await fill(eventLog, a, 60), await fill(eventLog, b, 60)]
    await relay({ untilCaughtUp: true }).ended
    await forget(route)
    await topics.remove([second])
    await expect(relay({ untilCaughtUp: true }).ended).rejects.toThrow(/is missing beside a checkpoint/)
    await topics.ensure(route.topics, 1)
    await expect(relay({ untilCaughtUp: true }).ended).rejects.toThrow(/is empty beside a checkpoint/)
    await relay({ untilCaughtUp: true, wishes: { ...noWishes, refill: [second] } }).ended
    await holds(route, first, inA)
    await holds(route, second, inB)
  })

  it('beyond the end of the log is refused', async () => {
    const { store, eventLog, a, route, relay } = await world()
    const old = await store.backUp()
    await eventually(() => fill(eventLog, a, 40))
    await relay({ untilCaughtUp: true }).ended
    await forget(route)
    await store.putBack(old)
    await expect(relay({ untilCaughtUp: true }).ended).rejects.toThrow(/the log is empty/)
  })
})

describe('a checkpoint that was lost', () => {
  it('is answered by filling the topics anew, or by a position that the log has', async () => {
    const { eventLog, a, b, route, first, second, relay } = await world()
    const [inA, inB] = [await fill(eventLog, a, 40), await fill(eventLog, b, 40)]
    await relay({ untilCaughtUp: true }).ended
    const forgotten = { ...route, name: `${route.name}.${randomUUID()}` }
    const start = (wishes = noWishes) => startRelay(forgotten, scope, { eventLog, untilCaughtUp: true, wishes }).ended
    await expect(start()).rejects.toThrow(/checkpoint is missing/)
    await expect(start({ ...noWishes, resumeAfter: 10_000_000n })).rejects.toThrow(/the log has no event there/)
    await start({ ...noWishes, refill: [first, second], deleteTopics: true })
    await holds(route, first, inA)
    await holds(route, second, inB)
  })
})
