import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { credentials, status } from '@grpc/grpc-js'
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb'
import { BatchAppendReq, ReadReq } from '@eventstore/db-client/generated/streams_pb'
import type { BatchAppendResp, ReadResp } from '@eventstore/db-client/generated/streams_pb'
import { Empty, StreamIdentifier, UUID } from '@eventstore/db-client/generated/shared_pb'
import { Timestamp } from 'google-protobuf/google/protobuf/timestamp_pb'
import { collect, eventually, failureOf, openTestStore, streamName, testEvents } from '../event-store'
import type { TestStore } from '../event-store'

/** What the protocol allows and the official client does not use, through its generated classes. */
let test: TestStore
let raw: StreamsClient
beforeAll(async () => {
  test = await openTestStore()
  raw = new StreamsClient(`127.0.0.1:${test.store.port}`, credentials.createInsecure())
})
afterAll(async () => {
  raw.close()
  await test.close()
})

function readAllRequest(change: (options: ReadReq.Options) => void): ReadReq {
  const options = new ReadReq.Options()
  const all = new ReadReq.Options.AllOptions()
  all.setStart(new Empty())
  options.setAll(all)
  options.setCount('1000000')
  options.setNoFilter(new Empty())
  change(options)
  return new ReadReq().setOptions(options)
}

const events = async (request: ReadReq): Promise<ReadResp.ReadEvent.RecordedEvent[]> =>
  (await collect<ReadResp>(raw.read(request))).flatMap((response) => response.getEvent()?.getEvent() ?? [])

function filter(on: 'setEventType' | 'setStreamIdentifier', prefix: string) {
  const expression = new ReadReq.Options.FilterOptions.Expression()
  expression.setPrefixList([prefix])
  const options = new ReadReq.Options.FilterOptions()
  options[on](expression)
  options.setCheckpointintervalmultiplier(1)
  return options
}

describe('what EventStoreDB refuses', () => {
  it('a place whose commit position is less than its prepare position', async () => {
    const request = readAllRequest((options) => {
      const position = new ReadReq.Options.Position()
      position.setCommitPosition('10')
      position.setPreparePosition('11')
      const all = new ReadReq.Options.AllOptions()
      all.setPosition(position)
      options.setAll(all)
    })
    expect(await failureOf(events(request))).toMatchObject({ code: status.INVALID_ARGUMENT })
  })

  it.each([
    ['an event without a type', { type: '' }, 'the event type is empty'],
    ['an event without an id', { id: '00000000-0000-0000-0000-000000000000' }, 'the event id is empty'],
  ])('%s', async (_, change, message) => {
    const stream = streamName('refused')
    const event = { ...testEvents(1)[0]!, ...change }
    expect(String(await failureOf(test.client.appendToStream(stream, event)))).toContain(message)
    await test.client.appendToStream(stream, testEvents(1), { expectedRevision: 'no_stream' })
  })
})

describe('a filtered read of $all', () => {
  // The wanted events stand so far apart that whole pages hold none.
  const stream = 'filtered-among-others'
  beforeAll(async () => {
    for (let round = 0; round < 3; round++) {
      await test.client.appendToStream(streamName('other'), testEvents(400, 'unwanted'))
      await test.client.appendToStream(stream, testEvents(2, 'wanted'))
    }
  })

  it.each(['setEventType', 'setStreamIdentifier'] as const)('gives what passes, in both directions: %s', async (on) => {
    const wanted = filter(on, on === 'setEventType' ? 'wanted' : stream)
    const forwards = await events(readAllRequest((options) => options.setFilter(wanted)))
    expect(forwards.map((event) => Number(event.getStreamRevision()))).toEqual([0, 1, 2, 3, 4, 5])
    const backwards = await events(
      readAllRequest((options) => {
        options.setFilter(wanted).setReadDirection(1).setCount('4')
        options.getAll()?.setEnd(new Empty())
      }),
    )
    expect(backwards.map((event) => Number(event.getStreamRevision()))).toEqual([5, 4, 3, 2])
  })

  it('is refused when the regex is none', async () => {
    const wanted = filter('setEventType', 'x')
    wanted.getEventType()?.setPrefixList([]).setRegex('(')
    const failure = await failureOf(events(readAllRequest((options) => options.setFilter(wanted))))
    expect(failure).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('filter regex is no expression that RE2 knows'),
    })
  })
})

describe('a read', () => {
  it('gives ids as two halves to who asks for them so', async () => {
    const [event] = testEvents(1)
    await test.client.appendToStream('halves', event as NonNullable<typeof event>)
    const structured = new ReadReq.Options.UUIDOption()
    structured.setStructured(new Empty())
    const read = await events(
      readAllRequest((options) => {
        options.setUuidOption(structured).setReadDirection(1).setCount('1')
        options.getAll()?.setEnd(new Empty())
      }),
    )
    const half = (bits = '0') => BigInt.asUintN(64, BigInt(bits)).toString(16).padStart(16, '0')
    const halves = read[0]?.getId()?.getStructured()
    const hex = half(halves?.getMostSignificantBits()) + half(halves?.getLeastSignificantBits())
    expect(hex).toBe(event?.id.replaceAll('-', ''))
  })

  it.each<[string, (options: ReadReq.Options) => unknown]>([
    ['names neither a stream nor $all', (options) => options.clearAll()],
    ['has a filter on nothing', (options) => options.setFilter(new ReadReq.Options.FilterOptions())],
    ['names a stream without a name', (options) => options.setStream(new ReadReq.Options.StreamOptions())],
  ])('is refused when it %s', async (_, change) => {
    const failure = await failureOf(events(readAllRequest((options) => void change(options))))
    expect(failure).toMatchObject({ code: status.INVALID_ARGUMENT })
  })
})

describe('a batch append in parts', () => {
  function open() {
    const call = raw.batchAppend()
    const answers: BatchAppendResp[] = []
    call.on('data', (answer: BatchAppendResp) => answers.push(answer))
    return { call, answers, ended: new Promise((resolve) => call.on('end', resolve)) }
  }

  function part(correlationId: string, stream: string | undefined, bytes: number, final: boolean, deadlineMs = 60_000) {
    const request = new BatchAppendReq()
    request.setCorrelationId(new UUID().setString(correlationId))
    if (stream !== undefined) {
      const options = new BatchAppendReq.Options()
      options.setStreamIdentifier(new StreamIdentifier().setStreamName(Buffer.from(stream)))
      options.setAny(new Empty())
      options.setDeadline(Timestamp.fromDate(new Date(Date.now() + deadlineMs)))
      request.setOptions(options)
    }
    const message = new BatchAppendReq.ProposedMessage()
    message.setId(new UUID().setString(randomUUID()))
    message.getMetadataMap().set('type', 'part').set('content-type', 'application/octet-stream')
    message.setData(Buffer.alloc(bytes))
    request.addProposedMessages(message)
    request.setIsFinal(final)
    return request
  }

  const detail = (answer: BatchAppendResp | undefined) => answer?.getError()?.getDetails()?.getTypeName()

  it('is answered once, with its stream, though more of it comes after it was refused', async () => {
    const { call, answers, ended } = open()
    const [refused, fine] = [randomUUID(), randomUUID()]
    call.write(part(refused, 'refused-parts', 900_000, false))
    call.write(part(refused, undefined, 900_000, false))
    call.write(part(refused, undefined, 10, true))
    call.write(part(fine, 'fine-parts', 10, false))
    call.write(part(fine, undefined, 10, true))
    call.end()
    await ended
    expect(answers.map((answer) => answer.getCorrelationId()?.getString())).toEqual([refused, fine])
    const [first, second] = answers
    expect(detail(first)).toBe('event_store.client.MaximumAppendSizeExceeded')
    expect(Buffer.from(first?.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString()).toBe('refused-parts')
    expect(second?.getSuccess()?.getCurrentRevision()).toBe('1')
  })

  it('is answered with a timeout when its end does not come in time', async () => {
    const { call, answers, ended } = open()
    call.write(part(randomUUID(), 'unfinished', 10, false, 100))
    await eventually('the answer', () => (answers.length > 0 ? true : undefined))
    call.end()
    await ended
    expect(answers).toHaveLength(1)
    expect(detail(answers[0])).toBe('event_store.client.Timeout')
  })

  it('is answered before the call ends, however early the client ends its side', async () => {
    const { call, answers, ended } = open()
    for (let n = 0; n < 500; n++) call.write(part(randomUUID(), 'hurried', 10, true))
    call.end()
    await ended
    expect(answers.map((answer) => answer.getSuccess()?.getCurrentRevision())).toEqual(
      Array.from({ length: 500 }, (_, revision) => String(revision)),
    )
  })
})
