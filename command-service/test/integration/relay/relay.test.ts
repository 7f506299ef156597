import { describe, expect, it, jest } from '@jest/globals'
import { createTopics } from '@annals/platform/kafka'
import { eventually, testScope } from '@annals/platform/testing'
import { runRelay, type RelayOptions } from '../../../src/relay/relay'
import { noWishes } from '../../../src/relay/assess'
import { RelayRefusal } from '../../../src/relay/refusals'
import type { Route } from '../../../src/relay/route'
import {
  compare,
  fill,
  kafka,
  log,
  nothingWrong,
  openRoute,
  publisherFor,
  publisherNamed,
  readTopics,
} from './relay-world'

// Each of these waits for facts on a real broker; on a busy machine that takes its time.
jest.setTimeout(90_000)

/** A filtered subscription walks through all that other tests have appended before it comes to its own. */
const soon = <T>(check: () => T) => eventually(check, { withinMs: 30_000 })

const scope = testScope()

const world = () => openRoute(scope)

function relayOn(route: Route, more: Partial<RelayOptions> & Pick<RelayOptions, 'eventLog'>) {
  const stopping = new AbortController()
  const relay = runRelay({
    route,
    publisher: publisherFor(route),
    publisherOf: publisherNamed,
    topics: createTopics(kafka),
    log,
    signal: stopping.signal,
    patienceMs: 2_000,
    ...more,
  })
  relay.ended.catch(() => undefined)
  const stop = async () => {
    stopping.abort()
    await relay.ended
  }
  scope.onEnd(() => stop().catch(() => undefined))
  return { ...relay, stop }
}

async function reading(route: Route) {
  const reader = await readTopics(scope, route)
  return reader.seen
}

describe('the relay', () => {
  it('publishes what the log holds and what comes, once and in order per stream', async () => {
    const { category, route, eventLog } = await world()
    const before = await fill(eventLog, category, 1_000)
    const relay = relayOn(route, { eventLog })
    const seen = await reading(route)
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(1_000))
    const after = await fill(eventLog, category, 200)
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(1_200))
    expect(compare([...before, ...after], seen)).toEqual(nothingWrong)
    await relay.ready()
    expect(relay.role()).toBe('leader')
  })

  it('goes on after a restart where its checkpoint stands', async () => {
    const { category, route, eventLog } = await world()
    const seen = await reading(route)
    const all = await fill(eventLog, category, 300)
    const first = relayOn(route, { eventLog })
    await soon(() => expect(seen.length).toBe(300))
    await first.stop()
    all.push(...(await fill(eventLog, category, 100)))
    relayOn(route, { eventLog })
    await soon(() => expect(seen.length).toBe(400))
    expect(compare(all, seen)).toEqual(nothingWrong)
  })

  it('ends by itself when asked only to catch up', async () => {
    const { category, route, eventLog } = await world()
    const all = await fill(eventLog, category, 500)
    await relayOn(route, { eventLog, untilCaughtUp: true }).ended
    const seen = await reading(route)
    await soon(() => expect(seen.length).toBe(500))
    expect(compare(all, seen)).toEqual(nothingWrong)
  })

  it('stands by when a second relay takes over, and takes over again when that one is gone', async () => {
    const { category, route, eventLog } = await world()
    const seen = await reading(route)
    const all = await fill(eventLog, category, 200)
    const first = relayOn(route, { eventLog })
    await soon(() => expect(seen.length).toBe(200))
    const second = relayOn(route, { eventLog })
    await soon(() => expect(second.role()).toBe('leader'))
    all.push(...(await fill(eventLog, category, 200)))
    await soon(() => expect(seen.length).toBe(400))
    await soon(() => expect(first.role()).toBe('standby'))
    await first.ready()

    // While the second one works, the first leaves it alone, however long nothing comes.
    all.push(...(await fill(eventLog, category, 40)))
    await soon(() => expect(seen.length).toBe(440))
    expect([first.role(), second.role()]).toEqual(['standby', 'leader'])

    await second.stop()
    all.push(...(await fill(eventLog, category, 200)))
    await soon(() => expect(seen.length).toBe(640))
    expect(first.role()).toBe('leader')
    expect(compare(all, seen)).toEqual(nothingWrong)
  })

  it('refuses to start without a checkpoint beside a topic that has records, and names the choices', async () => {
    const { category, route, eventLog } = await world()
    await fill(eventLog, category, 20)
    await relayOn(route, { eventLog, untilCaughtUp: true }).ended
    // The same topics under a name whose checkpoint nobody has: as after offsets that expired.
    const forgotten = { ...route, name: `${route.name}.forgotten` }
    const refused = relayOn(forgotten, { eventLog, untilCaughtUp: true })
    await expect(refused.ended).rejects.toBeInstanceOf(RelayRefusal)
    await expect(refused.ended).rejects.toThrow(/--resume-after/)
    const seen = await reading(route)
    await soon(() => expect(seen.length).toBe(20))

    const checkpoint = (await publisherFor(route).committed())!.position
    const more = await fill(eventLog, category, 20)
    await relayOn(forgotten, { eventLog, untilCaughtUp: true, wishes: { ...noWishes, resumeAfter: checkpoint } }).ended
    await soon(() => expect(seen.length).toBe(40))
    expect(
      seen
        .slice(20)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(more.map(({ id }) => id).sort())
  })

  it('does not overrule a checkpoint that is there', async () => {
    const { route, eventLog } = await world()
    await relayOn(route, { eventLog, untilCaughtUp: true }).ended
    await expect(relayOn(route, { eventLog, wishes: { ...noWishes, resumeAfter: 7n } }).ended).rejects.toThrow(
      /does not replace it/,
    )
  })

  it('holds few events in memory when Kafka takes them more slowly than the log gives them', async () => {
    const { category, route, eventLog } = await world()
    const all = await fill(eventLog, category, 600)
    const seen = await reading(route)
    relayOn(route, { eventLog, limits: { eventsMax: 7, bytesMax: 20_000 } })
    await soon(() => expect(seen.length).toBe(600))
    expect(compare(all, seen)).toEqual(nothingWrong)
  })
})
