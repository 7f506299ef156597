import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  END,
  eventTypeFilter,
  excludeSystemEvents,
  START,
  StreamDeletedError,
  streamNameFilter,
} from '@eventstore/db-client'
import type {
  AllStreamSubscription,
  Position,
  StreamSubscription,
  SubscribeToAllOptions,
  SubscribeToStreamOptions,
} from '@eventstore/db-client'
import { collect, eventually, openTestClient, streamName, testEvent, testEvents } from '../event-store'
import type { TestClient } from '../event-store'

let test: TestClient
beforeAll(async () => {
  test = await openTestClient()
})
afterAll(() => test.close())

/** What a subscription says, in order: ids of events, and its other messages by name. */
function record(subscription: AllStreamSubscription | StreamSubscription) {
  const said: string[] = []
  const errors: Error[] = []
  const types: string[] = []
  const data: unknown[] = []
  const own = subscription as StreamSubscription
  own
    .on('confirmation', () => said.push('confirmation'))
    .on('caughtUp', () => said.push('caughtUp'))
    .on('fellBehind', () => said.push('fellBehind'))
    .on('error', (error) => errors.push(error))
    .on('data', ({ event }) => {
      said.push(event?.id ?? 'nothing')
      types.push(event?.type ?? '')
      data.push(event?.data)
    })
  return {
    said,
    types,
    data,
    errors,
    ids: () => said.filter((word) => word.length === 36),
    until: (what: string, holds: () => boolean) =>
      eventually(`${what}; was told ${said.length}: ${said.slice(-3).join()}`, () => (holds() ? true : undefined)),
    stop: () => own.unsubscribe(),
  }
}

const toStream = (stream: string, options: SubscribeToStreamOptions = {}) =>
  record(test.client.subscribeToStream(stream, options))
const toAll = (options: SubscribeToAllOptions = {}) => record(test.client.subscribeToAll(options))

/** @returns position of the last event in $all */
async function now(): Promise<Position> {
  const { position } = await test.client.appendToStream(streamName('marker'), testEvent('marker'))
  if (!position) throw new Error('no position')
  return position
}

describe('a subscription to a stream', () => {
  it('confirms, gives history, says that it caught up, and goes on live', async () => {
    const stream = streamName('followed')
    const history = testEvents(4)
    await test.client.appendToStream(stream, history)
    const heard = toStream(stream)
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    const live = testEvents(3)
    for (const event of live) await test.client.appendToStream(stream, event)
    await heard.until('all events', () => heard.ids().length === 7)
    await heard.stop()
    const ids = [...history, ...live].map(({ id }) => id)
    expect(heard.said).toEqual(['confirmation', ...ids.slice(0, 4), 'caughtUp', ...ids.slice(4)])
    expect(heard.errors).toEqual([])
  })

  it.each<[string, SubscribeToStreamOptions, number]>([
    ['after a revision', { fromRevision: 2n }, 1],
    ['after the end', { fromRevision: END }, 0],
    ['from the start', { fromRevision: START }, 4],
  ])('begins %s', async (_, options, count) => {
    const stream = streamName('followed')
    const history = testEvents(4)
    await test.client.appendToStream(stream, history)
    const heard = toStream(stream, options)
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    const live = testEvent()
    await test.client.appendToStream(stream, live)
    await heard.until('the live event', () => heard.said.includes(live.id))
    await heard.stop()
    expect(heard.ids()).toEqual([...history.slice(4 - count), live].map(({ id }) => id))
  })

  it('waits for a stream that is not there yet', async () => {
    const stream = streamName('later')
    const heard = toStream(stream)
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    const event = testEvent()
    await test.client.appendToStream(stream, event)
    await heard.until('the event', () => heard.ids().length === 1)
    await heard.stop()
    expect(heard.said).toEqual(['confirmation', 'caughtUp', event.id])
  })

  it('is not woken by other streams, and gets nothing of them', async () => {
    const stream = streamName('quiet')
    const heard = toStream(stream)
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    await test.client.appendToStream(streamName('loud'), testEvents(10))
    const mine = testEvent()
    await test.client.appendToStream(stream, mine)
    await heard.until('the event', () => heard.ids().length > 0)
    await heard.stop()
    expect(heard.ids()).toEqual([mine.id])
  })

  it('fails when the stream is tombstoned, before and while it is followed', async () => {
    const stream = streamName('doomed')
    await test.client.appendToStream(stream, testEvent())
    const during = toStream(stream)
    await during.until('caught up', () => during.said.includes('caughtUp'))
    await test.client.tombstoneStream(stream)
    await during.until('the failure', () => during.errors.length > 0)
    const after = toStream(stream)
    await after.until('the failure', () => after.errors.length > 0)
    for (const { errors } of [during, after]) expect(errors[0]).toBeInstanceOf(StreamDeletedError)
  })

  it('gives history as far as $maxCount shows it, and all that comes live', async () => {
    const stream = streamName('short')
    const history = testEvents(5)
    await test.client.appendToStream(stream, history)
    await test.client.setStreamMetadata(stream, { maxCount: 2 })
    const heard = toStream(stream)
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    const live = testEvents(10)
    await test.client.appendToStream(stream, live)
    await heard.until('the last event', () => heard.said.includes(live.at(-1)?.id ?? ''))
    await heard.stop()
    expect(heard.ids()).toEqual([...history.slice(3), ...live].map(({ id }) => id))
  })

  it('goes on when the stream is soft-deleted and begun anew', async () => {
    const stream = streamName('revived')
    await test.client.appendToStream(stream, testEvents(2))
    const heard = toStream(stream)
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    await test.client.deleteStream(stream)
    const anew = testEvent()
    await test.client.appendToStream(stream, anew, { expectedRevision: 'no_stream' })
    await heard.until('the new event', () => heard.said.includes(anew.id))
    await heard.stop()
    expect(heard.ids()).toHaveLength(3)
  })

  it('resolves links on request', async () => {
    const [target, links] = [streamName('target'), streamName('links')]
    const event = testEvent()
    await test.client.appendToStream(target, event)
    const heard = toStream(links, { resolveLinkTos: true })
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    await test.client.appendToStream(links, {
      ...testEvent('$>'),
      contentType: 'application/octet-stream',
      data: Buffer.from(`0@${target}`),
    } as never)
    await heard.until('the event', () => heard.ids().length === 1)
    await heard.stop()
    expect(heard.ids()).toEqual([event.id])
  })
})

describe('a subscription to $all', () => {
  it('begins after the position, in the order of appends', async () => {
    const from = await now()
    const events = testEvents(600)
    for (let n = 0; n < 600; n += 100) await test.client.appendToStream(streamName('all'), events.slice(n, n + 100))
    const heard = toAll({ fromPosition: from })
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    const live = testEvent()
    await test.client.appendToStream(streamName('all'), live)
    await heard.until('the live event', () => heard.said.includes(live.id))
    await heard.stop()
    expect(heard.said).toEqual(['confirmation', ...events.map(({ id }) => id), 'caughtUp', live.id])
  })

  it('begins after the end', async () => {
    await now()
    const heard = toAll({ fromPosition: END })
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    const live = testEvent()
    await test.client.appendToStream(streamName('all'), live)
    await heard.until('the live event', () => heard.ids().length > 0)
    await heard.stop()
    expect(heard.ids()).toEqual([live.id])
  })

  it.each<[string, SubscribeToAllOptions['filter'], string[]]>([
    ['stream prefixes', streamNameFilter({ prefixes: ['pick-', 'also-'] }), ['one', '$two', 'three']],
    ['a stream regex', streamNameFilter({ regex: '^p.*k-' }), ['one', '$two']],
    ['type prefixes', eventTypeFilter({ prefixes: ['$t', 'thr'] }), ['$two', 'three']],
    ['a type regex', eventTypeFilter({ regex: 'e$' }), ['one', 'three', 'mine']],
    ['not being a system event', excludeSystemEvents(), ['one', 'three', 'mine']],
  ])('is filtered by %s, in history and live', async (_, filter, expected) => {
    const fromPosition = await now()
    const write = async () => {
      await test.client.appendToStream('pick-1', [testEvent('one'), testEvent('$two')])
      await test.client.appendToStream('also-1', testEvent('three'))
      await test.client.appendToStream('drop-1', testEvent('mine'))
    }
    await write()
    const heard = toAll({ fromPosition, ...(filter && { filter }) })
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    expect(heard.types).toEqual(expected)
    await write()
    await heard.until('the live events', () => heard.types.length === 2 * expected.length)
    await heard.stop()
    expect(heard.types).toEqual([...expected, ...expected])
  })

  it('says after every interval, and before it has caught up, how far it has looked, and a later one may begin there', async () => {
    const fromPosition = await now()
    const checkpoints: Position[] = []
    const filter = eventTypeFilter({
      prefixes: ['wanted'],
      maxSearchWindow: 10,
      checkpointInterval: 3,
      checkpointReached: async (_, position) => void checkpoints.push(position),
    })
    const stream = streamName('checked')
    // Two intervals in history and two live, among which one event is wanted.
    await test.client.appendToStream(stream, testEvents(65, 'skipped'))
    const heard = toAll({ fromPosition, filter })
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    expect(checkpoints).toHaveLength(3)
    await test.client.appendToStream(stream, testEvents(54, 'skipped'))
    const wanted = testEvent('wanted')
    await test.client.appendToStream(stream, wanted)
    await heard.until('all', () => checkpoints.length === 5 && heard.ids().length === 1)
    await heard.stop()
    const positions = (await collect(test.client.readStream(stream))).map(({ event }) => event?.position)
    expect(checkpoints).toEqual([29, 59, 64, 89, 119].map((index) => positions[index]))
    const later = toAll({ fromPosition: checkpoints[3] as Position, filter })
    await later.until('the wanted event', () => later.ids().length === 1)
    await later.stop()
  })
})

describe('the change from history to live events', () => {
  it('gives every event exactly once and in order while writers go on', async () => {
    const fromPosition = await now()
    const writersMax = 8
    const stop = new AbortController()
    const written: string[] = []
    const write = async (writer: number) => {
      for (let n = 0; !stop.signal.aborted; n++) {
        const events = testEvents(1 + (n % 5), `race-${writer}`)
        await test.client.appendToStream(`race-${writer}`, events)
        written.push(...events.map(({ id }) => id))
      }
    }
    const writers = Array.from({ length: writersMax }, (_, writer) => write(writer))
    // Each begins at another moment, and so meets the writers at another point of its catching up.
    const heard: ReturnType<typeof record>[] = []
    for (let subscriber = 0; subscriber < 12; subscriber++) {
      const before = written.length
      await eventually('more events', () => (written.length > before + 50 ? true : undefined))
      heard.push(toAll({ fromPosition, filter: streamNameFilter({ prefixes: ['race-'] }) }))
    }
    await Promise.all(heard.map((one) => one.until('caught up', () => one.said.includes('caughtUp'))))
    stop.abort()
    await Promise.all(writers)
    const all = (await collect(test.client.readAll({ fromPosition }))).filter(({ event }) =>
      event?.streamId.startsWith('race-'),
    )
    const ids = all.map(({ event }) => event?.id)
    expect(new Set(ids)).toEqual(new Set(written))
    for (const one of heard) {
      await one.until('all events', () => one.ids().length >= ids.length)
      await one.stop()
      expect(one.ids()).toEqual(ids)
    }
  })
})

describe('a slow reader', () => {
  it('is neither skipped nor doubled', async () => {
    const stream = streamName('slow')
    const subscription = test.client.subscribeToStream(stream)
    const heard = record(subscription)
    await heard.until('caught up', () => heard.said.includes('caughtUp'))
    subscription.pause()
    const text = 'x'.repeat(1_000)
    for (let n = 0; n < 4_000; n += 100)
      await test.client.appendToStream(
        stream,
        Array.from({ length: 100 }, (_, k) => testEvent('slow', { n: n + k, text })),
      )
    // What the windows and buffers between the two hold; the rest was not sent, or the server could not say what follows.
    expect(heard.ids().length).toBeLessThan(1_000)
    subscription.resume()
    await heard.until('all events', () => heard.ids().length === 4_000)
    await heard.stop()
    expect(heard.data).toEqual(Array.from({ length: 4_000 }, (_, n) => ({ n, text })))
    expect(heard.said.filter((word) => word.length < 36)).toEqual(['confirmation', 'caughtUp'])
  })

  it('gets what was appended while the end of history was on its way to it', async () => {
    const stream = streamName('slow')
    const history = Array.from({ length: 300 }, () => testEvent('slow', { text: 'x'.repeat(2_000) }))
    await test.client.appendToStream(stream, history)
    const subscription = test.client.subscribeToStream(stream)
    const heard = record(subscription)
    subscription.pause()
    // Confirmed: the server is about to send 600 KB, of which the stopped reader takes a tenth.
    await heard.until('confirmation', () => heard.said.includes('confirmation'))
    const late = testEvent()
    await test.client.appendToStream(stream, late)
    expect(heard.ids()).not.toContain(history.at(-1)?.id)
    subscription.resume()
    await heard.until('the late event', () => heard.ids().includes(late.id))
    await heard.stop()
    expect(heard.ids()).toEqual([...history, late].map(({ id }) => id))
  })

  it('holds up neither writers nor other readers', async () => {
    const stream = streamName('held')
    await test.client.appendToStream(stream, testEvents(5_000))
    const stopped = test.client.readStream(stream)
    await new Promise((resolve) => stopped.once('data', resolve))
    stopped.pause()
    expect(await collect(test.client.readStream(stream))).toHaveLength(5_000)
    await test.client.appendToStream(stream, testEvent(), { expectedRevision: 4_999n })
    await stopped.cancel()
  })
})
