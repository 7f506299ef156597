import { randomUUID } from 'node:crypto'
import { describe, expect, it, jest } from '@jest/globals'
import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import { createTopics } from '@annals/platform/kafka'
import { eventually, testScope } from '@annals/platform/testing'
import { noWishes } from '../../../src/relay/assess'
import { fillerName, type Route } from '../../../src/relay/route'
import {
  compare,
  fill,
  kafka,
  newCategory,
  nothingWrong,
  openLog,
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

/** Payments of one category, on a topic and on its next version; the route of all before and after the move, and the one that fills. */
function world() {
  const eventLog = scope.add(openLog(), (it) => it.close())
  const [moved, other] = [newCategory(), newCategory()]
  const name = `test.relay.${moved}`
  const version = `${name}.v2`
  const before = routeOver(name, [topicFor(moved), topicFor(other)])
  const after = routeOver(name, [topicFor(moved, version, 5), topicFor(other)])
  const filler = routeOver(fillerName(before, version), [topicFor(moved, version, 5)])
  removeTopicsOf(scope, before, after)
  const start = (route: Route, more: object = {}) => startRelay(route, scope, { eventLog, ...more })
  return { eventLog, moved, other, before, after, filler, start }
}

const only = (route: Route, topic: string): Route => ({
  ...route,
  topics: route.topics.filter((spec) => spec.topic === topic),
})

async function reading(route: Route) {
  const reader = await readTopics(scope, route)
  return reader.seen
}

/** Appends an event every few milliseconds until it is stopped. */
function flow(eventLog: EventLog, category: string) {
  const stream = `${category}-${randomUUID()}`
  const written: Written[] = []
  const stopping = new AbortController()
  const running = (async () => {
    for (let revision = 0; !stopping.signal.aborted; revision++) {
      const id = randomUUID()
      await eventLog.append(stream, [{ id, type: 'relay.tested', data: {}, metadata: {} }], revision - 1)
      written.push({ id, stream, revision })
      await pause(20, stopping.signal)
    }
  })()
  return async () => {
    stopping.abort()
    await running
    return written
  }
}

describe('a topic version that the main route is moved to', () => {
  it('gets every event once, while events flow and its filler still runs', async () => {
    const { eventLog, moved, other, before, after, filler, start } = world()
    const [inMoved, inOther] = [await fill(eventLog, moved, 300), await fill(eventLog, other, 100)]
    const former = start(before)
    const stop = flow(eventLog, moved)
    const filling = start(filler)
    const version = after.topics[0]!.topic
    const seen = await reading(only(after, version))
    await soon(() => expect(seen.length).toBeGreaterThan(320))

    // The release that names the new version takes over, as a rolling one does: beside the former.
    const present = start(after)
    await soon(() => expect(present.role()).toBe('leader'))
    await filling.ended
    await former.stop()
    inOther.push(...(await fill(eventLog, other, 40)))
    await eventually(async () => expect(present.role()).toBe('leader'))
    inMoved.push(...(await stop()))
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(inMoved.length))
    expect(compare(inMoved, seen)).toEqual(nothingWrong)
    const others = await reading(only(after, after.topics[1]!.topic))
    await soon(() => expect(others.length).toBe(140))
    expect(compare(inOther, others)).toEqual(nothingWrong)
    // A filler that is started again has nothing to do, and does nothing.
    await start(filler).ended
    await present.stop()

    // Back to the former release: its topic goes on where it was left.
    await start(before, { untilCaughtUp: true }).ended
    const back = await reading(only(before, before.topics[0]!.topic))
    await soon(() => expect(back.length).toBe(inMoved.length))
    expect(compare(inMoved, back)).toEqual(nothingWrong)
  })

  it('gets what is missing when its filler stands before the main route, ended or not', async () => {
    const { eventLog, moved, other, before, after, filler, start } = world()
    const inMoved = await fill(eventLog, moved, 100)
    await start(before, { untilCaughtUp: true }).ended
    await start(filler, { untilCaughtUp: true }).ended
    inMoved.push(...(await fill(eventLog, moved, 100)))
    await fill(eventLog, other, 20)
    await start(before, { untilCaughtUp: true }).ended
    inMoved.push(...(await fill(eventLog, moved, 100)))
    await start(after, { untilCaughtUp: true }).ended
    await start(after, { untilCaughtUp: true }).ended
    const seen = await reading(only(after, after.topics[0]!.topic))
    await soon(() => expect(seen.length).toBe(300))
    expect(compare(inMoved, seen)).toEqual(nothingWrong)
  })

  it('is not repeated when its filler stands behind it', async () => {
    const { eventLog, moved, before, after, filler, start } = world()
    const inMoved = await fill(eventLog, moved, 100)
    await start(before, { untilCaughtUp: true }).ended
    inMoved.push(...(await fill(eventLog, moved, 100)))
    await start(filler, { untilCaughtUp: true }).ended
    inMoved.push(...(await fill(eventLog, moved, 20)))
    await start(after, { untilCaughtUp: true }).ended
    const seen = await reading(only(after, after.topics[0]!.topic))
    await soon(() => expect(seen.length).toBe(220))
    expect(compare(inMoved, seen)).toEqual(nothingWrong)
  })

  it('is filled anew when it was deleted before that', async () => {
    const { eventLog, moved, before, after, filler, start } = world()
    const inMoved = await fill(eventLog, moved, 100)
    await start(before, { untilCaughtUp: true }).ended
    await start(filler, { untilCaughtUp: true }).ended
    const version = after.topics[0]!.topic
    await createTopics(kafka).remove([version])
    await expect(start(after, { untilCaughtUp: true }).ended).rejects.toThrow(`--refill ${version}`)
    await start(after, { untilCaughtUp: true, wishes: { ...noWishes, refill: [version] } }).ended
    await start(after, { untilCaughtUp: true }).ended
    const seen = await reading(only(after, version))
    await soon(() => expect(seen.length).toBe(100))
    expect(compare(inMoved, seen)).toEqual(nothingWrong)
  })
})
