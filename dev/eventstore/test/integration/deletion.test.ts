import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  BACKWARDS,
  END,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import {
  collect,
  eventually,
  failureOf,
  openTestClient,
  openTestStore,
  streamName,
  testEvent,
  testEvents,
} from '../event-store'
import type { TestClient } from '../event-store'

let test: TestClient
beforeAll(async () => {
  test = await openTestClient()
})
afterAll(() => test.close())

const revisions = async (stream: string, backwards = false): Promise<number[]> => {
  const options = backwards ? ({ direction: BACKWARDS, fromRevision: END } as const) : {}
  return (await collect(test.client.readStream(stream, options))).map(({ event }) => Number(event?.revision))
}

describe('a soft-deleted stream', () => {
  const deletedStream = async (): Promise<string> => {
    const stream = streamName('soft')
    await test.client.appendToStream(stream, testEvents(3))
    await test.client.deleteStream(stream)
    return stream
  }

  it('reads as if it were not there', async () =>
    expect(await failureOf(revisions(await deletedStream()))).toBeInstanceOf(StreamNotFoundError))

  it.each(['no_stream', 'any', 2n] as const)(
    'begins anew after its former revisions, expecting %s',
    async (expected) => {
      const stream = await deletedStream()
      const result = await test.client.appendToStream(stream, testEvents(2), { expectedRevision: expected })
      expect(result.nextExpectedRevision).toBe(4n)
      expect(await revisions(stream)).toEqual([3, 4])
      expect(await revisions(stream, true)).toEqual([4, 3])
    },
  )

  it('is deleted for a writer who expects it to exist', async () => {
    const stream = await deletedStream()
    const failure = await failureOf(
      test.client.appendToStream(stream, testEvent(), { expectedRevision: 'stream_exists' }),
    )
    expect(failure).toBeInstanceOf(StreamDeletedError)
  })

  it('does not show its past when it is given metadata', async () => {
    const stream = await deletedStream()
    await test.client.setStreamMetadata(stream, { maxCount: 10 })
    expect(await revisions(stream)).toEqual([])
    await test.client.appendToStream(stream, testEvent())
    expect(await revisions(stream)).toEqual([3])
    expect((await test.client.getStreamMetadata(stream)).metadata).toEqual({ maxCount: 10, truncateBefore: 3 })
  })

  it('keeps its events in $all', async () => {
    const stream = await deletedStream()
    const all = await collect(test.client.readAll())
    expect(all.filter(({ event }) => event?.streamId === stream)).toHaveLength(3)
    expect(all.filter(({ event }) => event?.streamId === `$$${stream}`)).toHaveLength(1)
  })

  it('is refused to who expects another revision', async () => {
    const stream = streamName('soft')
    await test.client.appendToStream(stream, testEvents(3))
    const failure = await failureOf(test.client.deleteStream(stream, { expectedRevision: 1n }))
    expect(failure).toBeInstanceOf(WrongExpectedVersionError)
    expect(failure).toMatchObject({ streamName: stream, expectedVersion: 1n, actualVersion: 2n })
    expect(await revisions(stream)).toEqual([0, 1, 2])
    expect((await test.client.deleteStream(stream, { expectedRevision: 2n })).position?.commit).toBeGreaterThan(0n)
  })

  it.each(['any', 'no_stream'] as const)(
    'is refused where there never was a stream, expecting %s, and says that there is none',
    async (expectedRevision) => {
      const stream = streamName('never')
      const failure = await failureOf(test.client.deleteStream(stream, { expectedRevision }))
      expect(failure).toBeInstanceOf(WrongExpectedVersionError)
      expect(failure).toMatchObject({ streamName: stream, actualVersion: -1n })
      expect((failure as Error).message).toContain('Delete failed due to WrongExpectedVersion')
      await test.client.appendToStream(stream, testEvent(), { expectedRevision: 'no_stream' })
    },
  )

  it('is refused to who expects no stream', async () => {
    const stream = streamName('soft')
    await test.client.appendToStream(stream, testEvent())
    expect(await failureOf(test.client.deleteStream(stream, { expectedRevision: 'no_stream' }))).toBeInstanceOf(
      WrongExpectedVersionError,
    )
  })

  it('stays deleted after a restart', async () => {
    const own = await openTestStore()
    try {
      await own.client.appendToStream('soft', testEvents(3))
      await own.client.deleteStream('soft')
      await own.client.appendToStream('buried', testEvent())
      await own.client.tombstoneStream('buried')
      await own.restart()
      await eventually('the client is connected again', () =>
        collect(own.client.readAll({ maxCount: 1 })).catch(() => undefined),
      )
      expect(await failureOf(collect(own.client.readStream('soft')))).toBeInstanceOf(StreamNotFoundError)
      expect(await failureOf(collect(own.client.readStream('buried')))).toBeInstanceOf(StreamDeletedError)
      await own.client.appendToStream('soft', testEvent(), { expectedRevision: 'no_stream' })
      expect((await collect(own.client.readStream('soft'))).map(({ event }) => event?.revision)).toEqual([3n])
    } finally {
      await own.close()
    }
  })
})

describe('a tombstoned stream', () => {
  it('is gone for readers, writers and deleters, and so is its metadata', async () => {
    const stream = streamName('buried-Ü')
    await test.client.appendToStream(stream, testEvents(2))
    const { position } = await test.client.tombstoneStream(stream, { expectedRevision: 1n })
    expect(position?.commit).toBeGreaterThan(0n)
    for (const work of [
      () => revisions(stream),
      () => revisions(stream, true),
      () => test.client.appendToStream(stream, testEvent()),
      () => test.client.deleteStream(stream),
      () => test.client.tombstoneStream(stream),
      () => test.client.setStreamMetadata(stream, { maxCount: 1 }),
      () => test.client.getStreamMetadata(stream),
    ])
      expect(await failureOf(work())).toBeInstanceOf(StreamDeletedError)
  })

  it('leaves its events and the tombstone in $all', async () => {
    const stream = streamName('buried')
    await test.client.appendToStream(stream, testEvent())
    await test.client.tombstoneStream(stream)
    const events = (await collect(test.client.readAll())).filter(({ event }) => event?.streamId === stream)
    expect(events.map(({ event }) => [event?.type, event?.revision])).toEqual([
      ['tested', 0n],
      ['$streamDeleted', 2n ** 63n - 1n],
    ])
  })

  it('may never have been written', async () => {
    const stream = streamName('buried')
    await test.client.tombstoneStream(stream, { expectedRevision: 'no_stream' })
    expect(await failureOf(revisions(stream))).toBeInstanceOf(StreamDeletedError)
  })

  it('is refused to who expects another revision', async () => {
    const stream = streamName('buried')
    await test.client.appendToStream(stream, testEvent())
    const failure = await failureOf(test.client.tombstoneStream(stream, { expectedRevision: 2n }))
    expect(failure).toMatchObject({ streamName: stream, expectedVersion: 2n, actualVersion: 0n })
    expect(await revisions(stream)).toEqual([0])
  })
})

describe('stream metadata', () => {
  it('is given back, the last that was set', async () => {
    const stream = streamName('described')
    expect(await test.client.getStreamMetadata(stream)).toEqual({ streamName: stream })
    const metadata = {
      maxAge: 2,
      cacheControl: 15,
      truncateBefore: 1,
      maxCount: 12,
      acl: { readRoles: ['admin'] },
      own: '🦃',
    }
    await test.client.setStreamMetadata(stream, metadata)
    expect((await test.client.getStreamMetadata(stream)).metadata).toEqual(metadata)
    await test.client.setStreamMetadata(stream, { maxCount: 2 }, { expectedRevision: 0n })
    expect((await test.client.getStreamMetadata(stream)).metadata).toEqual({ maxCount: 2 })
    expect(await collect(test.client.readStream(`$$${stream}`))).toHaveLength(1)
  })

  it('makes the stream exist for a writer who expects that', async () => {
    const stream = streamName('described')
    await test.client.setStreamMetadata(stream, { cacheControl: 1 })
    await test.client.appendToStream(stream, testEvent(), { expectedRevision: 'stream_exists' })
  })

  it('limits by count what is read, in both directions', async () => {
    const stream = streamName('counted')
    await test.client.appendToStream(stream, testEvents(10))
    await test.client.setStreamMetadata(stream, { maxCount: 3 })
    expect(await revisions(stream)).toEqual([7, 8, 9])
    expect(await revisions(stream, true)).toEqual([9, 8, 7])
    await test.client.appendToStream(stream, testEvent(), { expectedRevision: 9n })
    expect(await revisions(stream)).toEqual([8, 9, 10])
  })

  it('truncates what is read', async () => {
    const stream = streamName('truncated')
    await test.client.appendToStream(stream, testEvents(5))
    await test.client.setStreamMetadata(stream, { truncateBefore: 3 })
    expect(await revisions(stream)).toEqual([3, 4])
    expect(await revisions(stream, true)).toEqual([4, 3])
    await test.client.setStreamMetadata(stream, {})
    expect(await revisions(stream)).toEqual([0, 1, 2, 3, 4])
  })

  it('limits by age what is read', async () => {
    const stream = streamName('aged')
    await test.client.appendToStream(stream, testEvents(2))
    await test.client.setStreamMetadata(stream, { maxAge: 1 })
    await eventually('both events are too old', async () => ((await revisions(stream)).length === 0 ? true : undefined))
    await test.client.appendToStream(stream, testEvent())
    expect(await revisions(stream)).toEqual([2])
  })
})
