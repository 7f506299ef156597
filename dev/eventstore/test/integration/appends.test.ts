import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  binaryEvent,
  DeadlineExceededError,
  EventStoreDBClient,
  jsonEvent,
  MaxAppendSizeExceededError,
  StreamDeletedError,
  UnknownError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import type { AppendExpectedRevision, AppendToStreamOptions } from '@eventstore/db-client'
import { collect, failureOf, openTestClient, streamName, testEvent, testEvents } from '../event-store'
import type { TestClient } from '../event-store'

let test: TestClient
beforeAll(async () => {
  test = await openTestClient()
})
afterAll(() => test.close())

/** With credentials the client takes the call `Append` instead of `BatchAppend`. */
const calls: [string, AppendToStreamOptions][] = [
  ['BatchAppend', {}],
  ['Append', { credentials: { username: 'admin', password: 'changeit' } }],
]

describe.each(calls)('%s', (_, call) => {
  const append = (stream: string, events: ReturnType<typeof testEvents>, expectedRevision?: AppendExpectedRevision) =>
    test.client.appendToStream(stream, events, { ...call, ...(expectedRevision !== undefined && { expectedRevision }) })

  it('gives the events back as they were written', async () => {
    const stream = streamName('written')
    const json = jsonEvent({ type: 'Überwiesen', data: { text: '‐ € 😀 \u0018' }, metadata: { by: 'Zoë' } })
    const binary = binaryEvent({ type: 'raw', data: Buffer.from([0, 255, 1]), metadata: Uint8Array.from([200, 1]) })
    const before = Date.now()
    await test.client.appendToStream(stream, [json, binary], call)
    const [first, second] = await collect(test.client.readStream(stream))
    expect(first?.event).toMatchObject({
      streamId: stream,
      id: json.id,
      revision: 0n,
      type: 'Überwiesen',
      isJson: true,
      data: json.data,
      metadata: json.metadata,
    })
    expect(second?.event).toMatchObject({ id: binary.id, revision: 1n, isJson: false })
    expect(Buffer.from(second?.event?.data as Uint8Array)).toEqual(Buffer.from([0, 255, 1]))
    expect(Buffer.from(second?.event?.metadata as Uint8Array)).toEqual(Buffer.from([200, 1]))
    const created = first?.event?.created.getTime() ?? 0
    expect(created).toBeGreaterThanOrEqual(before)
    expect(created).toBeLessThanOrEqual(Date.now())
  })

  it('answers with the revision and the position of the last event', async () => {
    const stream = streamName('answer')
    const result = await append(stream, testEvents(3), 'no_stream')
    const last = (await collect(test.client.readStream(stream))).at(-1)
    expect(result).toEqual({ success: true, nextExpectedRevision: 2n, position: last?.event?.position })
  })

  it.each<[string, AppendExpectedRevision, bigint | 'no_stream', number]>([
    ['no stream, when there is one', 'no_stream', 1n, 2],
    ['an earlier revision', 0n, 1n, 2],
    ['a later revision', 5n, 1n, 2],
    ['a revision, when there is no stream', 3n, 'no_stream', 0],
    ['that the stream exists, when it does not', 'stream_exists', 'no_stream', 0],
  ])('refuses an append that expects %s', async (_, expectedVersion, actualVersion, existing) => {
    const stream = streamName('refused')
    if (existing > 0) await append(stream, testEvents(existing))
    const failure = await failureOf(append(stream, [testEvent()], expectedVersion))
    expect(failure).toBeInstanceOf(WrongExpectedVersionError)
    expect(failure).toMatchObject({ streamName: stream, expectedVersion, actualVersion })
  })

  it('goes on at the expected revision and where the stream exists', async () => {
    const stream = streamName('continued')
    await append(stream, testEvents(2), 'any')
    expect(await append(stream, [testEvent()], 1n)).toMatchObject({ nextExpectedRevision: 2n })
    expect(await append(stream, [testEvent()], 'stream_exists')).toMatchObject({ nextExpectedRevision: 3n })
  })

  it.each<[string, AppendExpectedRevision]>([
    ['no stream', 'no_stream'],
    ['any', 'any'],
  ])('answers a repeat that expects %s like the first time, and writes nothing', async (_, expected) => {
    const stream = streamName('repeated')
    const events = testEvents(3)
    const first = await append(stream, events, expected)
    await append(stream, [testEvent('after')], 2n)
    expect(await append(stream, events, expected)).toEqual(first)
    expect(await append(stream, events.slice(0, 2), expected)).toMatchObject({ nextExpectedRevision: 1n })
    expect(await collect(test.client.readStream(stream))).toHaveLength(4)
  })

  it('answers a repeat at its revision like the first time', async () => {
    const stream = streamName('repeated-at')
    await append(stream, testEvents(2))
    const events = testEvents(2)
    const first = await append(stream, events, 1n)
    expect(await append(stream, events, 1n)).toEqual(first)
    expect(await append(stream, events, 'stream_exists')).toEqual(first)
    expect(await collect(test.client.readStream(stream))).toHaveLength(4)
  })

  it.each<[string, AppendExpectedRevision]>([
    ['no stream', 'no_stream'],
    ['any', 'any'],
    ['that the stream exists', 'stream_exists'],
  ])('refuses a repeat that brings more than the first time and expects %s', async (_, expected) => {
    const stream = streamName('partial')
    const events = testEvents(2)
    await append(stream, events)
    const failure = await failureOf(append(stream, [...events, testEvent()], expected))
    expect(failure).toBeInstanceOf(WrongExpectedVersionError)
    expect(await collect(test.client.readStream(stream))).toHaveLength(2)
  })

  it('knows a repeated id only within its stream', async () => {
    const event = testEvent()
    const [one, other] = [streamName('same-id'), streamName('same-id')]
    await append(one, [event])
    await append(other, [event])
    expect(await collect(test.client.readStream(other))).toHaveLength(1)
  })

  it('refuses a tombstoned stream', async () => {
    const stream = streamName('buried')
    await append(stream, [testEvent()])
    await test.client.tombstoneStream(stream)
    const failure = await failureOf(append(stream, [testEvent()]))
    expect(failure).toBeInstanceOf(StreamDeletedError)
    expect(failure).toMatchObject({ streamName: stream })
  })

  it('refuses more than the maximum append size, and keeps serving', async () => {
    const stream = streamName('too-large')
    const events = Array.from({ length: 3 }, () => testEvent('large', { text: 'x'.repeat(400_000) }))
    const failure = await failureOf(append(stream, events))
    expect(failure).toBeInstanceOf(MaxAppendSizeExceededError)
    expect(failure).toMatchObject({ maxAppendSize: 1_048_576 })
    await append(stream, [testEvent('large', { text: 'x'.repeat(1_000_000) })], 'no_stream')
  })

  it('gives up when the deadline passes before all events have come', async () => {
    const stream = streamName('late')
    const failure = await failureOf(test.client.appendToStream(stream, testEvents(20_000), { ...call, deadline: 1 }))
    expect(failure).toBeInstanceOf(DeadlineExceededError)
    await append(stream, [testEvent()], 'no_stream')
  })

  it('tells instead of throwing when the client is set so', async () => {
    const quiet = EventStoreDBClient.connectionString(`${test.url}&throwOnAppendFailure=false`)
    try {
      const stream = streamName('quiet')
      await append(stream, testEvents(2))
      const result = await quiet.appendToStream(stream, testEvent(), { ...call, expectedRevision: 'no_stream' })
      expect(result).toMatchObject({ success: false, nextExpectedRevision: 1n })
    } finally {
      await quiet.dispose()
    }
  })

  it('lets exactly one of many concurrent appends have a revision', async () => {
    const stream = streamName('contended')
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, () => append(stream, [testEvent()], 'no_stream')),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(WrongExpectedVersionError)
    expect(await collect(test.client.readStream(stream))).toHaveLength(1)
  })
})

describe('BatchAppend', () => {
  it('puts together an append that comes in parts', async () => {
    const stream = streamName('parts')
    const events = testEvents(2_000)
    const result = await test.client.appendToStream(stream, events, { batchAppendSize: 1_024 })
    expect(result.nextExpectedRevision).toBe(1_999n)
    const read = await collect(test.client.readStream(stream))
    expect(read.map(({ event }) => event?.id)).toEqual(events.map(({ id }) => id))
  })

  it('keeps apart many appends under way on one call', async () => {
    const streams = Array.from({ length: 300 }, () => streamName('many'))
    const results = await Promise.all(
      streams.map((stream, index) => test.client.appendToStream(stream, testEvents(1 + (index % 7)))),
    )
    expect(results.map(({ nextExpectedRevision }) => nextExpectedRevision)).toEqual(
      streams.map((_, index) => BigInt(index % 7)),
    )
  })

  it('refuses an event whose id is no UUID', async () => {
    const failure = await failureOf(
      test.client.appendToStream(streamName('bad-id'), { ...testEvent(), id: 'not-a-uuid' }),
    )
    expect(failure).toBeInstanceOf(UnknownError)
  })
})
