import { randomUUID } from 'node:crypto'
import { convertGrpcEvent } from '@eventstore/db-client/dist/utils/convertGrpcEvent'
import { Empty, StreamIdentifier, UUID } from '@eventstore/db-client/generated/shared_pb'
import { ReadResp } from '@eventstore/db-client/generated/streams_pb'
import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { eventsOfMessages, packMessages, type LogEvent } from '@annals/platform/event-log'
import { eventOfMessage } from '../../src/event-log/event-message'

interface Facts {
  stream: string
  type: string
  contentType: string
  /** .NET ticks. */
  created: string
  revision: bigint
  position: bigint
  metadata: Uint8Array
  data: Uint8Array
}

const usual: Facts = {
  stream: 'payment-1',
  type: 'payment.created',
  contentType: 'application/json',
  created: '17640000001239999',
  revision: 3n,
  position: 4_711n,
  metadata: Buffer.from('{"tenant":"main"}'),
  data: Buffer.from('{"text":"Zoë 🦊"}'),
}

function responseOf({ stream, type, contentType, created, revision, position, metadata, data }: Facts): ReadResp {
  const id = new UUID()
  id.setString(randomUUID())
  const name = new StreamIdentifier()
  name.setStreamName(Buffer.from(stream))
  const recorded = new ReadResp.ReadEvent.RecordedEvent()
  recorded.setId(id)
  recorded.setStreamIdentifier(name)
  recorded.setStreamRevision(String(revision))
  recorded.setPreparePosition(String(position))
  recorded.setCommitPosition(String(position))
  recorded.getMetadataMap().set('type', type).set('content-type', contentType).set('created', created)
  recorded.setCustomMetadata(metadata)
  recorded.setData(data)
  const read = new ReadResp.ReadEvent()
  read.setEvent(recorded)
  read.setCommitPosition(String(position))
  const response = new ReadResp()
  response.setEvent(read)
  return response
}

const bytesOf = (response: ReadResp) => Buffer.from(response.serializeBinary())

/** What the official client makes of it, in our words. */
function asTheClient(message: Buffer): LogEvent {
  const { event } = convertGrpcEvent(ReadResp.deserializeBinary(message).getEvent()!) as {
    event: Record<'id' | 'type' | 'streamId', string> & {
      revision: bigint
      position: { commit: bigint }
      created: Date
      data: unknown
      metadata: unknown
    }
  }
  const { id, type, streamId, revision, position, created, data, metadata } = event
  return {
    id,
    type,
    stream: streamId,
    revision: Number(revision),
    position: position.commit,
    createdAt: created.getTime(),
    data: inBuffers(data),
    metadata: inBuffers(metadata),
  }
}

const inBuffers = (value: unknown) => (value instanceof Uint8Array ? Buffer.from(value) : value)

const uint63 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const content = fc.oneof(
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
)
const name = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !text.startsWith('$'))
const anyFacts = fc.record<Facts>({
  stream: name,
  type: name.filter((text) => text !== ''),
  contentType: fc.constantFrom('application/json', 'application/octet-stream', 'text/plain'),
  created: fc.oneof(
    fc.bigInt({ min: 0n, max: 3n * 10n ** 17n }).map(String),
    fc.constantFrom('', '7', 'never', '17640000001239999'),
  ),
  revision: uint63,
  position: uint63,
  metadata: content,
  data: content,
})

describe('an event in a message of the log’s server', () => {
  it('is what the official client says it is', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const message = bytesOf(responseOf(facts))
        expect(eventOfMessage(message)).toEqual(asTheClient(message))
      }),
      { numRuns: 500 },
    )
  })

  it('keeps what is no JSON: text that says it is, bytes otherwise', () => {
    const broken = Buffer.from('{"text":')
    expect(eventOfMessage(bytesOf(responseOf({ ...usual, data: broken })))?.data).toBe('{"text":')
    const bytes = { ...usual, contentType: 'application/octet-stream', data: broken, metadata: broken }
    expect(eventOfMessage(bytesOf(responseOf(bytes)))).toMatchObject({ data: broken, metadata: broken })
    expect(eventOfMessage(bytesOf(responseOf({ ...usual, metadata: Buffer.alloc(0) })))?.metadata).toBeUndefined()
  })

  it('may stand between fields that a later server adds', () => {
    const message = bytesOf(responseOf(usual))
    const added = Buffer.from([0x98, 0x06, 0x07, 0xa2, 0x06, 0x02, 0x08, 0x01])
    expect(eventOfMessage(Buffer.concat([added, message, added]))).toEqual(asTheClient(message))
  })

  it('is none of ours when it is the server’s own, or no event', () => {
    expect(eventOfMessage(bytesOf(responseOf({ ...usual, type: '$metadata' })))).toBeUndefined()
    expect(eventOfMessage(bytesOf(responseOf({ ...usual, stream: '$settings' })))).toBeUndefined()
    const caughtUp = new ReadResp()
    caughtUp.setCaughtUp(new ReadResp.CaughtUp())
    const checkpoint = new ReadResp()
    checkpoint.setCheckpoint(new ReadResp.Checkpoint())
    const linkAlone = new ReadResp()
    linkAlone.setEvent(new ReadResp.ReadEvent().setNoPosition(new Empty()))
    for (const response of [caughtUp, checkpoint, linkAlone]) expect(eventOfMessage(bytesOf(response))).toBeUndefined()
  })

  it('is not made of a message that was cut short', () => {
    const message = bytesOf(responseOf(usual))
    expect(() => eventOfMessage(message.subarray(0, message.length - 20))).toThrow(RangeError)
  })
})

describe('messages in one piece', () => {
  it('hold the same events in the same order', () => {
    fc.assert(
      fc.property(fc.array(anyFacts, { maxLength: 20 }), (many) => {
        const messages = many.map((facts) => bytesOf(responseOf(facts)))
        expect(eventsOfMessages(packMessages(messages))).toEqual(messages.map(asTheClient))
      }),
    )
  })

  it('leave out what is none of ours', () => {
    const messages = [usual, { ...usual, type: '$metadata' }, { ...usual, revision: 4n }].map((facts) =>
      bytesOf(responseOf(facts)),
    )
    expect(eventsOfMessages(packMessages(messages)).map(({ revision }) => revision)).toEqual([3, 4])
  })
})
