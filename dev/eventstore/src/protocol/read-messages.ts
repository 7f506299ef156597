import { StreamIdentifier } from '@eventstore/db-client/generated/shared_pb'
import { ReadResp } from '@eventstore/db-client/generated/streams_pb'
import { fieldSize, varintSize, WireWriter } from './wire'

/** What a read or a subscription says besides events, each as the bytes of its `ReadResp`. */

export function confirmation(subscriptionId: string): Uint8Array {
  const message = new ReadResp.SubscriptionConfirmation()
  message.setSubscriptionId(subscriptionId)
  const response = new ReadResp()
  response.setConfirmation(message)
  return response.serializeBinary()
}

/**
 * The classes that the client package generates are older than the fields that EventStoreDB 24.10.5 has added: these messages are
 * written by hand, with the numbers of its `streams.proto`.
 */
const field = { readResp: { checkpoint: 3, caughtUp: 8 }, checkpointTime: 3 } as const

/** `google.protobuf.Timestamp`. @param at epoch ms */
function timestamp(at: number): Buffer {
  const [seconds, nanos] = [Math.floor(at / 1_000), (at % 1_000) * 1_000_000]
  const writer = new WireWriter(1 + varintSize(seconds) + (nanos === 0 ? 0 : 1 + varintSize(nanos)))
  writer.uint(1, seconds)
  if (nanos !== 0) writer.uint(2, nanos)
  return writer.finish()
}

/** Fields 1 and 2 of a checkpoint and of a position: commit and prepare. */
function position(at: number): Buffer {
  const writer = new WireWriter(2 * (1 + varintSize(at)))
  writer.uint(1, at)
  writer.uint(2, at)
  return writer.finish()
}

function embedded(number: number, content: Uint8Array): Buffer {
  const writer = new WireWriter(fieldSize(content.length))
  writer.bytes(number, content)
  return writer.finish()
}

/**
 * Everything up to `position` in $all has been considered; a later subscription may start there.
 * @param now epoch ms of the server's clock
 */
export const checkpoint = (at: number, now: number): Uint8Array =>
  embedded(field.readResp.checkpoint, Buffer.concat([position(at), embedded(field.checkpointTime, timestamp(now))]))

/**
 * The subscriber has all that there was. @param now epoch ms
 * @param place the last revision of the stream, or the last position of $all, that was considered; `undefined`: nothing was
 */
export function caughtUp(now: number, place: { revision: number } | { position: number } | undefined): Uint8Array {
  const parts: Uint8Array[] = [embedded(1, timestamp(now))]
  if (place && 'revision' in place) {
    const revision = new WireWriter(1 + varintSize(place.revision))
    revision.uint(2, place.revision)
    parts.push(revision.finish())
  } else if (place) parts.push(embedded(3, position(place.position)))
  return embedded(field.readResp.caughtUp, Buffer.concat(parts))
}

export function streamNotFound(stream: string): Uint8Array {
  const identifier = new StreamIdentifier()
  identifier.setStreamName(Buffer.from(stream))
  const message = new ReadResp.StreamNotFound()
  message.setStreamIdentifier(identifier)
  const response = new ReadResp()
  response.setStreamNotFound(message)
  return response.serializeBinary()
}
