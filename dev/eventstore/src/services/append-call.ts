import type { ServerReadableStream } from '@grpc/grpc-js'
import type { AppendReq, AppendResp } from '@eventstore/db-client/generated/streams_pb'
import type { ProposedEvent } from '../log/event-log'
import type { GroupCommit } from '../log/group-commit'
import type { AppendRequest } from '../log/stream-writes'
import { appendAnswer } from '../protocol/append-response'
import { parseExpected, parseProposed, parseStreamName, sizeOnDisk } from '../protocol/append-request'
import { invalidArgument, maximumAppendSizeExceeded, streamDeleted, timedOut, unavailable } from '../protocol/errors'

export interface AppendDependencies {
  commits: GroupCommit
  /** Bytes of one append. */
  appendSizeMax: number
}

/**
 * Serves `Append`: first the options, then one message per event, then one answer.
 * @throws ServiceError as the client's typed errors need it
 */
export async function serveAppend(
  call: ServerReadableStream<AppendReq, AppendResp>,
  { commits, appendSizeMax }: AppendDependencies,
): Promise<AppendResp> {
  const request = await receive(call, appendSizeMax)
  const outcome = await commits.submit(request, () => call.cancelled)
  switch (outcome.kind) {
    case 'written':
    case 'wrong-expected-revision':
      return appendAnswer(outcome)
    case 'stream-deleted':
      throw streamDeleted(request.stream)
    case 'expired':
      throw timedOut()
    case 'unavailable':
      throw unavailable(outcome.reason)
  }
}

async function receive(
  call: ServerReadableStream<AppendReq, AppendResp>,
  appendSizeMax: number,
): Promise<AppendRequest> {
  let options: AppendReq.Options | undefined
  const events: ProposedEvent[] = []
  let size = 0
  for await (const message of call as AsyncIterable<AppendReq>) {
    const proposed = message.getProposedMessage()
    if (!options) {
      options = message.getOptions()
      if (!options) throw invalidArgument('options have to come first')
    } else if (proposed) {
      const event = parseProposed(proposed)
      size += sizeOnDisk(event)
      if (size > appendSizeMax) throw maximumAppendSizeExceeded(appendSizeMax)
      events.push(event)
    } else throw invalidArgument('an event is missing')
  }
  if (!options) throw invalidArgument('options are missing')
  const stream = parseStreamName(options.getStreamIdentifier())
  return { kind: 'append', stream, expected: parseExpected(options, options.getRevision()), events }
}
