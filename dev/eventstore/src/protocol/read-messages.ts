import { StreamIdentifier } from '@eventstore/db-client/generated/shared_pb'
import { ReadResp } from '@eventstore/db-client/generated/streams_pb'

/** What a read or a subscription says besides events, each as the bytes of its `ReadResp`. */

export function confirmation(subscriptionId: string): Uint8Array {
  const message = new ReadResp.SubscriptionConfirmation()
  message.setSubscriptionId(subscriptionId)
  const response = new ReadResp()
  response.setConfirmation(message)
  return response.serializeBinary()
}

/** Everything up to `position` in $all has been considered; a later subscription may start there. */
export function checkpoint(position: number): Uint8Array {
  const message = new ReadResp.Checkpoint()
  message.setCommitPosition(position.toString())
  message.setPreparePosition(position.toString())
  const response = new ReadResp()
  response.setCheckpoint(message)
  return response.serializeBinary()
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

export const caughtUp = (() => {
  const response = new ReadResp()
  response.setCaughtUp(new ReadResp.CaughtUp())
  return response.serializeBinary()
})()

export const fellBehind = (() => {
  const response = new ReadResp()
  response.setFellBehind(new ReadResp.FellBehind())
  return response.serializeBinary()
})()
