import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { BACKWARDS, binaryEvent, END, START, StreamNotFoundError } from '@eventstore/db-client'
import type { AllStreamResolvedEvent, ReadAllOptions, ReadStreamOptions } from '@eventstore/db-client'
import { collect, failureOf, openTestClient, streamName, testEvent, testEvents } from '../event-store'
import type { TestClient } from '../event-store'

let test: TestClient
beforeAll(async () => {
  test = await openTestClient()
})
afterAll(() => test.close())

describe('a read of a stream', () => {
  // More than two pages.
  const stream = 'long-stream'
  beforeAll(() => test.client.appendToStream(stream, testEvents(700)))

  const revisions = async (options: ReadStreamOptions): Promise<number[]> =>
    (await collect(test.client.readStream(stream, options))).map(({ event }) => Number(event?.revision))

  it.each<[string, ReadStreamOptions, number, number, number]>([
    ['from the start', {}, 700, 0, 699],
    ['from a revision', { fromRevision: 690n }, 10, 690, 699],
    ['some from a revision', { fromRevision: 200n, maxCount: 300 }, 300, 200, 499],
    ['backwards from the end', { direction: BACKWARDS, fromRevision: END }, 700, 699, 0],
    ['backwards from a revision', { direction: BACKWARDS, fromRevision: 1n }, 2, 1, 0],
    ['the last one', { direction: BACKWARDS, fromRevision: END, maxCount: 1 }, 1, 699, 699],
    ['backwards from beyond the end', { direction: BACKWARDS, fromRevision: 2n ** 64n - 1n, maxCount: 2 }, 2, 699, 698],
    ['exactly one page', { maxCount: 256 }, 256, 0, 255],
    ['exactly to the end', { maxCount: 700 }, 700, 0, 699],
  ])('gives %s', async (_, options, count, first, last) => {
    const read = await revisions(options)
    expect([read.length, read.at(0), read.at(-1)]).toEqual([count, first, last])
    const step = first <= last ? 1 : -1
    expect(read).toEqual(Array.from({ length: count }, (_, index) => first + index * step))
  })

  it.each<[string, ReadStreamOptions]>([
    ['from the end', { fromRevision: END }],
    ['from beyond the end', { fromRevision: 700n }],
    ['none', { maxCount: 0 }],
  ])('gives nothing when asked for events %s', async (_, options) => expect(await revisions(options)).toEqual([]))

  it('fails when the stream was never written', async () => {
    const failure = await failureOf(collect(test.client.readStream('never-written')))
    expect(failure).toBeInstanceOf(StreamNotFoundError)
    expect(failure).toMatchObject({ streamName: 'never-written' })
  })

  it('ends when the reader stops in the middle, and the server goes on', async () => {
    for await (const { event } of test.client.readStream(stream)) if (event?.revision === 300n) break
    expect(await revisions({ maxCount: 1 })).toEqual([0])
  })

  it('gives large events, page by page', async () => {
    const large = streamName('large')
    const text = 'x'.repeat(900_000)
    for (let n = 0; n < 6; n++) await test.client.appendToStream(large, testEvent('large', { n, text }))
    const read = await collect(test.client.readStream(large))
    expect(read.map(({ event }) => event?.data)).toEqual([0, 1, 2, 3, 4, 5].map((n) => ({ n, text })))
  })
})

describe('a link', () => {
  const target = 'link-target'
  const links = 'links'
  beforeAll(async () => {
    await test.client.appendToStream(target, testEvents(3))
    for (const data of [`1@${target}`, `9@${target}`, 'nonsense'])
      await test.client.appendToStream(links, binaryEvent({ type: '$>', data: Buffer.from(data) }))
  })

  it('is resolved on request', async () => {
    const [direct] = await collect(test.client.readStream(target, { fromRevision: 1n, maxCount: 1 }))
    const [resolved] = await collect(test.client.readStream(links, { resolveLinkTos: true, maxCount: 1 }))
    expect(resolved?.event).toEqual(direct?.event)
    expect(resolved?.link).toMatchObject({ streamId: links, revision: 0n, type: '$>' })
  })
  it('is an event like any other without', async () => {
    const [plain] = await collect(test.client.readStream(links, { maxCount: 1 }))
    expect(plain).toMatchObject({ event: { streamId: links, type: '$>' } })
    expect(plain?.link).toBeUndefined()
  })
  it('stands alone when what it names is not there', async () => {
    const [, beyond, nonsense] = await collect(test.client.readStream(links, { resolveLinkTos: true }))
    for (const read of [beyond, nonsense]) {
      expect(read?.event).toBeUndefined()
      expect(read?.link).toMatchObject({ streamId: links })
    }
  })
})

describe('a read of $all', () => {
  let mine: AllStreamResolvedEvent[]
  beforeAll(async () => {
    const [one, other] = [streamName('all'), streamName('all')]
    for (let round = 0; round < 3; round++) {
      await test.client.appendToStream(one, testEvents(150, 'all.tested'))
      await test.client.appendToStream(other, testEvents(150, 'all.tested'))
    }
    mine = (await collect(test.client.readAll())).slice(-900)
  })

  const ids = async (options: ReadAllOptions): Promise<(string | undefined)[]> =>
    (await collect(test.client.readAll(options))).map(({ event }) => event?.id)
  const idsOf = (events: AllStreamResolvedEvent[]) => events.map(({ event }) => event?.id)
  const positionOf = (index: number) => {
    const position = mine[index]?.event?.position
    if (!position) throw new Error('no position')
    return position
  }

  it('begins with system events, as that of an EventStoreDB does', async () => {
    const [first] = await collect(test.client.readAll({ maxCount: 1 }))
    expect(first?.event?.type).toBe('$metadata')
  })

  it('gives every event once, in the order of positions', () => {
    const positions = mine.map(({ event }) => event?.position.commit ?? 0n)
    expect(mine.every(({ event }) => event?.type === 'all.tested')).toBe(true)
    expect(new Set(idsOf(mine)).size).toBe(900)
    expect(positions).toEqual(positions.toSorted((a, b) => (a < b ? -1 : 1)))
  })

  it('has positions that are not dense', () => expect(positionOf(1).commit - positionOf(0).commit).toBeGreaterThan(1n))

  it('begins with the event at the position', async () =>
    expect(await ids({ fromPosition: positionOf(500) })).toEqual(idsOf(mine.slice(500))))

  it('goes backwards from the event before the position', async () =>
    expect(await ids({ direction: BACKWARDS, fromPosition: positionOf(500), maxCount: 300 })).toEqual(
      idsOf(mine.slice(200, 500).toReversed()),
    ))

  it('goes backwards from the end', async () =>
    expect(await ids({ direction: BACKWARDS, fromPosition: END, maxCount: 900 })).toEqual(idsOf(mine.toReversed())))

  it.each<[string, ReadAllOptions]>([
    ['forwards from the end', { fromPosition: END }],
    ['backwards from the start', { direction: BACKWARDS, fromPosition: START }],
  ])('gives nothing %s', async (_, options) => expect(await ids(options)).toEqual([]))

  it('stops at the count', async () =>
    expect(await ids({ fromPosition: positionOf(0), maxCount: 257 })).toHaveLength(257))
})
