import { describe, expect, it } from '@jest/globals'
import { ReadResp } from '@eventstore/db-client/generated/streams_pb'
import { decodeEventData, encodeRecordedEvent, TOMBSTONE_REVISION } from '../../src/protocol/recorded-event'
import type { RecordedEvent } from '../../src/protocol/recorded-event'
import { WireWriter } from '../../src/protocol/wire'

const event: RecordedEvent = {
  id: '6f9619ff-8b86-4011-b42d-00c04fc964ff',
  stream: 'payment-1',
  revision: 7,
  position: 4_321,
  type: 'payment.created',
  contentType: 'application/json',
  createdAt: 1_795_000_000_123,
  metadata: Buffer.from('{"tenant":"main"}'),
  data: Buffer.from('{"amount":"12.30"}'),
}

/** What google-protobuf reads from the message. */
function decode(message: Uint8Array) {
  const read = ReadResp.deserializeBinary(message).getEvent()
  const recorded = read?.getEvent()
  if (!read || !recorded) throw new Error('no event')
  return {
    id: recorded.getId()?.getString(),
    stream: Buffer.from(recorded.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString('utf8'),
    revision: recorded.getStreamRevision(),
    positions: [recorded.getPreparePosition(), recorded.getCommitPosition(), read.getCommitPosition()],
    metadata: Object.fromEntries(recorded.getMetadataMap().toObject()),
    customMetadata: Buffer.from(recorded.getCustomMetadata_asU8()).toString('utf8'),
    data: Buffer.from(recorded.getData_asU8()).toString('utf8'),
  }
}

describe('encodeRecordedEvent', () => {
  it('writes what a protocol buffer reader understands', () =>
    expect(decode(encodeRecordedEvent(event))).toEqual({
      id: event.id,
      stream: 'payment-1',
      revision: '7',
      positions: ['4321', '4321', '4321'],
      metadata: { type: 'payment.created', 'content-type': 'application/json', created: '17950000001230000' },
      customMetadata: '{"tenant":"main"}',
      data: '{"amount":"12.30"}',
    }))

  // Each is the last or the first value of some number of bytes.
  it.each([0, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 35, Number.MAX_SAFE_INTEGER])(
    'writes the number %d exactly',
    (number) => {
      const { revision, positions } = decode(encodeRecordedEvent({ ...event, revision: number, position: number }))
      expect([revision, ...positions]).toEqual(Array.from({ length: 4 }, () => String(number)))
    },
  )

  it('counts bytes, not characters', () => {
    const stream = 'Überweisung-€-😀'
    const decoded = decode(encodeRecordedEvent({ ...event, stream, type: 'bezahlt.für' }))
    expect([decoded.stream, decoded.metadata['type']]).toEqual([stream, 'bezahlt.für'])
  })

  it('writes long data and none', () => {
    expect(decode(encodeRecordedEvent({ ...event, data: Buffer.alloc(70_000, 'x') })).data).toHaveLength(70_000)
    expect(decode(encodeRecordedEvent({ ...event, data: new Uint8Array(), metadata: new Uint8Array() })).data).toBe('')
  })

  it('writes the revision of a tombstone, which no number can hold', () =>
    expect(decode(encodeRecordedEvent({ ...event, revision: TOMBSTONE_REVISION })).revision).toBe(
      '9223372036854775807',
    ))
})

describe('decodeEventData', () => {
  it('gives back the data', () =>
    expect(Buffer.from(decodeEventData(encodeRecordedEvent(event))).toString()).toBe('{"amount":"12.30"}'))
  it('refuses what is no event', () => expect(() => decodeEventData(new Uint8Array())).toThrow('holds no event'))
})

describe('WireWriter', () => {
  it('refuses to hand out a message that was sized wrongly', () => {
    const wire = new WireWriter(10)
    wire.uint(1, 1)
    expect(() => wire.finish()).toThrow('2 bytes in a buffer of 10')
  })
})
