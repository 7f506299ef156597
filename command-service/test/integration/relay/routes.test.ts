import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it, jest } from '@jest/globals'
import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import { createTopics, Fenced, type CheckpointedPublisher } from '@annals/platform/kafka'
import { eventually, testScope, typescriptProcess, type TestProcess } from '@annals/platform/testing'
import { noWishes } from '../../../src/relay/assess'
import { changeRoutes } from '../../../src/relay/change-routes'
import { RelayRefusal } from '../../../src/relay/refusals'
import { divide, routeWith, type Route } from '../../../src/relay/route'
import {
  compare,
  fill,
  kafka,
  log,
  newCategory,
  nothingWrong,
  openLog,
  publisherNamed,
  readTopics,
  removeTopicsOf,
  routeOver,
  startRelay,
  topicFor,
  type Written,
} from './relay-world'

jest.setTimeout(240_000)
const soon = <T>(check: () => T) => eventually(check, { withinMs: 60_000 })

const scope = testScope()
const program = join(__dirname, 'routes-process.ts')

/** The work of one relay over three topics, and ways to divide it. */
function world() {
  const eventLog = scope.add(openLog(), (it) => it.close())
  const categories = [newCategory(), newCategory(), newCategory()] as const
  const name = `test.relay.${categories[0]}`
  const whole = routeOver(
    name,
    categories.map((category) => topicFor(category)),
  )
  removeTopicsOf(scope, whole)
  const [a, b, c] = whole.topics.map(({ topic }) => topic) as [string, string, string]
  const change = (routes: string, publisherOf = publisherNamed) =>
    changeRoutes({
      whole,
      routes: divide(whole, routes),
      publisherOf,
      topics: createTopics(kafka),
      replicationFactor: 1,
      log,
    })
  return { eventLog, categories, name, whole, two: `${a};${b},${c}`, others: `${a},${b};${c}`, change }
}

/** Appends events to a stream of each category, one every few milliseconds, until it is stopped. */
function flow(eventLog: EventLog, categories: readonly string[]) {
  const written: Written[] = []
  const stopping = new AbortController()
  const running = categories.map(async (category) => {
    const streams = Array.from({ length: 3 }, () => ({ stream: `${category}-${randomUUID()}`, next: 0 }))
    for (let i = 0; !stopping.signal.aborted; i++) {
      const at = streams[i % streams.length]!
      const id = randomUUID()
      await eventLog.append(at.stream, [{ id, type: 'relay.tested', data: {}, metadata: {} }], at.next - 1)
      written.push({ id, stream: at.stream, revision: at.next++ })
      await pause(15, stopping.signal)
    }
  })
  return async () => {
    stopping.abort()
    await Promise.all(running)
    return written
  }
}

/** Waits until so many more events of every category have been read. */
async function further(seen: readonly Written[], categories: readonly string[], events = 15) {
  const countOf = (category: string) => seen.filter(({ stream }) => stream.startsWith(`${category}-`)).length
  const due = categories.map((category) => [category, countOf(category) + events] as const)
  await soon(() => {
    for (const [category, count] of due) expect(countOf(category)).toBeGreaterThanOrEqual(count)
  })
}

/** Ends at its n-th act, which is done or not: what a kill leaves behind. */
function cutAt(act: number, isDone: boolean): (name: string) => CheckpointedPublisher {
  let acts = 0
  return (name) => {
    const publisher = publisherNamed(name)
    const cut = async <T>(work: () => Promise<T>): Promise<T> => {
      if (++acts !== act) return work()
      if (isDone) await work()
      throw new Error('cut')
    }
    return {
      ...publisher,
      takeOver: () => cut(() => publisher.takeOver()),
      publish: (...args) => cut(() => publisher.publish(...args)),
    }
  }
}

describe('the routes of the relay', () => {
  it('are changed under load, cut off at every step and done again, and nothing is lost, doubled or reordered', async () => {
    const { eventLog, categories, whole, two, others, change } = world()
    const routes = new Map<string, Route>()
    for (const text of ['', two, others]) for (const route of divide(whole, text)) routes.set(route.name, route)
    // Relays of all divisions run all the time: who is not meant waits.
    for (const route of routes.values()) startRelay(route, scope, { eventLog, lookEveryMs: 300 })
    const { seen } = await readTopics(scope, whole)
    const stop = flow(eventLog, categories)
    await further(seen, categories)

    // Each change is cut off at one more of its acts, until it is done before it gets as far.
    let cuts = 0
    for (const [target, back] of [
      [two, ''],
      [others, two],
      ['', others],
    ] as const) {
      for (let act = 1; ; act++) {
        const isDone = act % 2 === 0
        const outcome = await change(target, cutAt(act, isDone)).then(
          () => 'done',
          (error: unknown) => String(error),
        )
        if (outcome === 'done') break
        expect(outcome).toContain('cut')
        cuts++
        // Every third time the operator goes back to where it came from.
        if (act % 3 === 0) await change(back)
      }
      await further(seen, categories)
    }
    expect(cuts).toBeGreaterThanOrEqual(8)

    const written = await stop()
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(written.length))
    expect(compare(written, seen)).toEqual(nothingWrong)
  })

  it('are changed while relays and changes are killed at any moment, and nothing is lost, doubled or reordered', async () => {
    const { eventLog, categories, name, whole, two, others, change } = world()
    const run = (...args: string[]): TestProcess =>
      scope.process(typescriptProcess(program, name, categories.join(), ...args))
    const relaysOf = (text: string) => divide(whole, text).map((route) => [text, route.topics[0]!.topic] as const)
    const running = ['', two, others].flatMap(relaysOf).map(([text, topic]) => {
      const start = () => run('relay', text, topic)
      return { start, relay: start() }
    })
    const { seen } = await readTopics(scope, whole)
    const stop = flow(eventLog, categories)
    await further(seen, categories)

    const killed: string[] = []
    for (const target of [two, '', others, two, '']) {
      // Two that begin at one moment: one of them is killed, at a moment of its own.
      const [changing, other] = [run('change', target), run('change', target)]
      const victim = running[Math.floor(Math.random() * running.length)]!
      await pause(1_000 + Math.random() * 1_500)
      await Promise.all([changing.hasEnded() || changing.end('SIGKILL'), victim.relay.end('SIGKILL')])
      victim.relay = victim.start()
      killed.push(target)
      await soon(() => expect(other.hasEnded()).toBe(true))
      await change(target)
      await further(seen, categories)
    }
    expect(killed.length).toBe(5)

    const written = await stop()
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(written.length))
    expect(compare(written, seen)).toEqual(nothingWrong)
  })

  it('begin with an empty log, and each relay refuses in words until the routes are its own', async () => {
    const { eventLog, categories, whole, two, change } = world()
    const routes = divide(whole, two)
    const relays = routes.map((route) => startRelay(route, scope, { eventLog, lookEveryMs: 300 }))
    await soon(() => expect(relays.map(({ role }) => role())).toEqual(['refused', 'refused']))
    await expect(relays[0]!.ready()).rejects.toThrow(/--change-routes/)
    expect(await change(two)).toBe(true)
    await soon(() => expect(relays.map(({ role }) => role())).toEqual(['leader', 'leader']))
    const { seen } = await readTopics(scope, whole)
    const stop = flow(eventLog, categories)
    await further(seen, categories)
    // One that is set to the whole does not take the work away.
    await expect(startRelay(whole, scope, { eventLog, untilCaughtUp: true }).ended).rejects.toBeInstanceOf(RelayRefusal)
    await further(seen, categories)
    const written = await stop()
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(written.length))
    expect(compare(written, seen)).toEqual(nothingWrong)
  })

  it('are not changed where a relay takes its route back meanwhile; and one that comes later waits', async () => {
    const { whole, two, eventLog, change } = world()
    await startRelay(whole, scope, { eventLog, untilCaughtUp: true }).ended
    await change(two)
    const [route] = divide(whole, two) as [Route]
    await startRelay(route, scope, { eventLog, untilCaughtUp: true }).ended
    const intruder = publisherNamed(route.name)
    /** Between the fencing of the route and the closing of its checkpoint. */
    const disturbed = (name: string): CheckpointedPublisher => {
      const publisher = publisherNamed(name)
      const takeOver = async () => {
        const committed = await publisher.takeOver()
        if (name === route.name) await intruder.takeOver()
        return committed
      }
      return { ...publisher, takeOver }
    }
    await expect(change('', disturbed)).rejects.toBeInstanceOf(Fenced)
    await startRelay(route, scope, { eventLog, untilCaughtUp: true }).ended

    // Fenced main, fenced route, closed route: what comes to the route now must not publish.
    await expect(change('', cutAt(4, false))).rejects.toThrow('cut')
    await expect(startRelay(route, scope, { eventLog, untilCaughtUp: true }).ended).rejects.toThrow(/has begun/)
    await change('')
    await expect(startRelay(route, scope, { eventLog, untilCaughtUp: true }).ended).rejects.toThrow(/otherwise/)
    await startRelay(whole, scope, { eventLog, untilCaughtUp: true }).ended
    await intruder.close()
  })

  it('are refused where the checkpoint of one was lost, until an operator says where publishing stopped', async () => {
    const { whole, two, eventLog, categories, change } = world()
    await startRelay(whole, scope, { eventLog, untilCaughtUp: true }).ended
    await change(two)
    const route = routeWith(divide(whole, two), whole.topics[0]!.topic)
    const written = await fill(eventLog, categories[0], 40)
    await startRelay(route, scope, { eventLog, untilCaughtUp: true }).ended
    const lost = publisherNamed(route.name)
    const { position } = (await lost.takeOver())!
    // What a backup of before the division has.
    await lost.publish([], position, () => JSON.stringify({ v: 1, topics: {} }))
    await lost.close()

    await expect(startRelay(route, scope, { eventLog, untilCaughtUp: true }).ended).rejects.toThrow(/is missing/)
    await expect(change('')).rejects.toThrow(/is missing/)
    const wishes = { ...noWishes, resumeAfter: position }
    written.push(...(await fill(eventLog, categories[0], 20)))
    await startRelay(route, scope, { eventLog, untilCaughtUp: true, wishes }).ended
    await change('')
    await startRelay(whole, scope, { eventLog, untilCaughtUp: true }).ended
    const { seen } = await readTopics(scope, whole)
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(written.length))
    expect(compare(written, seen)).toEqual(nothingWrong)
  })

  it('fence a relay that was frozen through a change: it writes nothing any more', async () => {
    const { whole, two, eventLog, change } = world()
    await startRelay(whole, scope, { eventLog, untilCaughtUp: true }).ended
    const frozen = publisherNamed(whole.name)
    const { position, metadata } = (await frozen.takeOver())!
    await change(two)
    await expect(frozen.publish([], position, () => metadata)).rejects.toBeInstanceOf(Fenced)
    const part = publisherNamed(routeWith(divide(whole, two), whole.topics[0]!.topic).name)
    await part.takeOver()
    await change('')
    await expect(part.publish([], position, () => metadata)).rejects.toBeInstanceOf(Fenced)
    await Promise.all([frozen.close(), part.close()])
  })
})
