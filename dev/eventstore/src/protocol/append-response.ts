import { Any } from 'google-protobuf/google/protobuf/any_pb'
import { Empty } from 'google-protobuf/google/protobuf/empty_pb'
import type { Message } from 'google-protobuf'
import {
  AllStreamPosition,
  BadRequest,
  MaximumAppendSizeExceeded,
  StreamDeleted,
  StreamIdentifier,
  Timeout,
  Unknown,
  UUID,
  WrongExpectedVersion,
} from '@eventstore/db-client/generated/shared_pb'
import { Status } from '@eventstore/db-client/generated/status_pb'
import { AppendResp, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb'
import { NO_EVENTS } from '../rules/expected-revision'
import type { WriteResult } from '../log/stream-writes'

/**
 * Numbers of `google.rpc.Code`, of which the client package ships types only; a wrong expected version has that of "already
 * exists", a deleted stream that of "not found", as EventStoreDB gives them in a batch.
 */
const code = { unknown: 2, invalidArgument: 3, deadlineExceeded: 4, notFound: 5, alreadyExists: 6 } as const

export type Written = Extract<WriteResult, { kind: 'written' }>
export type WrongRevision = Extract<WriteResult, { kind: 'wrong-expected-revision' }>

/** Why a batch of appends was refused, as the details of its `google.rpc.Status`. */
export type BatchFailure =
  | WrongRevision
  | { kind: 'stream-deleted' }
  | { kind: 'expired' }
  | { kind: 'maximum-append-size-exceeded'; bytes: number }
  | { kind: 'bad-request'; message: string }
  | { kind: 'unknown'; message: string }

/** @param correlationId UUID text of the request */
export function batchAnswer(correlationId: string, stream: string, result: Written | BatchFailure): BatchAppendResp {
  const answer = new BatchAppendResp()
  const id = new UUID()
  id.setString(correlationId)
  answer.setCorrelationId(id)
  answer.setStreamIdentifier(identifier(stream))
  if (result.kind === 'written') answer.setSuccess(batchSuccess(result))
  else answer.setError(statusOf(result, stream))
  return answer
}

function identifier(stream: string): StreamIdentifier {
  const message = new StreamIdentifier()
  message.setStreamName(Buffer.from(stream))
  return message
}

function batchSuccess({ revision, position }: Written): BatchAppendResp.Success {
  const success = new BatchAppendResp.Success()
  if (revision === NO_EVENTS) success.setNoStream(new Empty())
  else success.setCurrentRevision(String(revision))
  if (position === undefined) success.setNoPosition(new Empty())
  else {
    const message = new AllStreamPosition()
    message.setCommitPosition(String(position))
    message.setPreparePosition(String(position))
    success.setPosition(message)
  }
  return success
}

function statusOf(failure: BatchFailure, stream: string): Status {
  switch (failure.kind) {
    case 'wrong-expected-revision':
      return status(code.alreadyExists, 'WrongExpectedVersion', wrongExpectedVersion(failure))
    case 'stream-deleted': {
      const details = new StreamDeleted()
      details.setStreamIdentifier(identifier(stream))
      return status(code.notFound, 'StreamDeleted', details)
    }
    case 'expired':
      return status(code.deadlineExceeded, 'Timeout', new Timeout())
    case 'maximum-append-size-exceeded': {
      const details = new MaximumAppendSizeExceeded()
      details.setMaxappendsize(failure.bytes)
      return status(code.invalidArgument, 'MaximumAppendSizeExceeded', details)
    }
    case 'bad-request': {
      const details = new BadRequest()
      details.setMessage(failure.message)
      return status(code.invalidArgument, failure.message, details)
    }
    case 'unknown':
      return status(code.unknown, failure.message, new Unknown())
  }
}

/** `google.rpc.Status` whose details are packed under the type name that the client matches. */
function status(code: number, message: string, details: Message): Status {
  const packed = new Any()
  packed.pack(details.serializeBinary(), `event_store.client.${typeNames.get(details.constructor)}`)
  const result = new Status()
  result.setCode(code)
  result.setMessage(message)
  result.setDetails(packed)
  return result
}

const typeNames = new Map<unknown, string>(
  Object.entries({ WrongExpectedVersion, StreamDeleted, Timeout, MaximumAppendSizeExceeded, BadRequest, Unknown }).map(
    ([name, type]) => [type, name],
  ),
)

function wrongExpectedVersion({ expected, lastRevision }: WrongRevision): WrongExpectedVersion {
  const details = new WrongExpectedVersion()
  if (lastRevision === NO_EVENTS) details.setCurrentNoStream(new Empty())
  else details.setCurrentStreamRevision(String(lastRevision))
  if (expected === 'any') details.setExpectedAny(new Empty())
  else if (expected === 'stream_exists') details.setExpectedStreamExists(new Empty())
  else if (expected === 'no_stream') details.setExpectedNoStream(new Empty())
  else details.setExpectedStreamPosition(String(expected))
  return details
}

/** Answer of the call `Append`, for which a wrong expected revision is no error. */
export function appendAnswer(result: Written | WrongRevision): AppendResp {
  const answer = new AppendResp()
  if (result.kind === 'written') answer.setSuccess(appendSuccess(result))
  else answer.setWrongExpectedVersion(appendRefusal(result))
  return answer
}

function appendSuccess({ revision, position }: Written): AppendResp.Success {
  const success = new AppendResp.Success()
  if (revision === NO_EVENTS) success.setNoStream(new Empty())
  else success.setCurrentRevision(String(revision))
  if (position === undefined) success.setNoPosition(new Empty())
  else {
    const message = new AppendResp.Position()
    message.setCommitPosition(String(position))
    message.setPreparePosition(String(position))
    success.setPosition(message)
  }
  return success
}

function appendRefusal({ expected, lastRevision }: WrongRevision): AppendResp.WrongExpectedVersion {
  const refusal = new AppendResp.WrongExpectedVersion()
  if (lastRevision === NO_EVENTS) refusal.setCurrentNoStream(new Empty())
  else refusal.setCurrentRevision(String(lastRevision))
  if (expected === 'any') refusal.setExpectedAny(new Empty())
  else if (expected === 'stream_exists') refusal.setExpectedStreamExists(new Empty())
  else if (expected === 'no_stream') refusal.setExpectedNoStream(new Empty())
  else refusal.setExpectedRevision(String(expected))
  return refusal
}
