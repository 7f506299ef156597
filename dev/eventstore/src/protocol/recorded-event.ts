import { ReadResp } from '@eventstore/db-client/generated/streams_pb'
import { fieldSize, varintSize, WireWriter } from './wire'

/** Everything a reader is told about one event. */
export interface RecordedEvent {
  /** UUID in lower-case text form. */
  id: string
  stream: string
  /** Decimal text, because a tombstone's revision (2^63 - 1) is no safe integer. */
  revision: number | typeof TOMBSTONE_REVISION
  /** Place in $all; commit and prepare position are the same, as for every write of a current EventStoreDB. */
  position: number
  type: string
  contentType: string
  /** Milliseconds since 1970, UTC. */
  createdAt: number
  metadata: Uint8Array
  data: Uint8Array
}

/** The revision EventStoreDB gives to the `$streamDeleted` event: 2^63 - 1. */
export const TOMBSTONE_REVISION = 9_223_372_036_854_775_807n

/** 2^63 - 1 as a varint: eight full groups and one of seven bits. */
const tombstoneVarint = Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])

const TYPE = 'type'
const CONTENT_TYPE = 'content-type'
const CREATED = 'created'

/** Server time travels in .NET ticks of 100 ns. */
const TICKS_PER_MS = '0000'

/**
 * The event as the bytes of the `ReadResp` message that carries it, with its id in text form, the only form the official
 * Node client asks for. The log stores these bytes, so that a read copies them to the wire and parses nothing.
 * @returns a `event_store.client.streams.ReadResp` holding `event`
 */
export function encodeRecordedEvent(event: RecordedEvent): Buffer {
  const created = `${event.createdAt}${TICKS_PER_MS}`
  const idLength = event.id.length
  const streamLength = Buffer.byteLength(event.stream)
  const typeLength = Buffer.byteLength(event.type)
  const contentTypeLength = Buffer.byteLength(event.contentType)
  const typeEntry = fieldSize(TYPE.length) + fieldSize(typeLength)
  const contentTypeEntry = fieldSize(CONTENT_TYPE.length) + fieldSize(contentTypeLength)
  const createdEntry = fieldSize(CREATED.length) + fieldSize(created.length)
  const revisionSize = typeof event.revision === 'bigint' ? tombstoneVarint.length : varintSize(event.revision)
  const positionSize = varintSize(event.position)
  const recorded =
    fieldSize(fieldSize(idLength)) +
    fieldSize(fieldSize(streamLength)) +
    (1 + revisionSize) +
    2 * (1 + positionSize) +
    fieldSize(typeEntry) +
    fieldSize(contentTypeEntry) +
    fieldSize(createdEntry) +
    fieldSize(event.metadata.length) +
    fieldSize(event.data.length)
  const readEvent = fieldSize(recorded) + 1 + positionSize

  const wire = new WireWriter(fieldSize(readEvent))
  wire.open(1, readEvent)
  wire.open(1, recorded)
  wire.open(1, fieldSize(idLength))
  wire.text(2, event.id, idLength)
  wire.open(2, fieldSize(streamLength))
  wire.text(3, event.stream, streamLength)
  if (typeof event.revision === 'bigint') wire.rawVarint(3, tombstoneVarint)
  else wire.uint(3, event.revision)
  wire.uint(4, event.position)
  wire.uint(5, event.position)
  wire.open(6, typeEntry)
  wire.text(1, TYPE, TYPE.length)
  wire.text(2, event.type, typeLength)
  wire.open(6, contentTypeEntry)
  wire.text(1, CONTENT_TYPE, CONTENT_TYPE.length)
  wire.text(2, event.contentType, contentTypeLength)
  wire.open(6, createdEntry)
  wire.text(1, CREATED, CREATED.length)
  wire.text(2, created, created.length)
  wire.bytes(7, event.metadata)
  wire.bytes(8, event.data)
  wire.uint(3, event.position)
  return wire.finish()
}

/** @returns the payload of a stored event; `message` is what `encodeRecordedEvent` made. */
export function decodeEventData(message: Uint8Array): Uint8Array {
  const recorded = ReadResp.deserializeBinary(message).getEvent()?.getEvent()
  if (!recorded) throw new Error('stored message holds no event')
  return recorded.getData_asU8()
}
