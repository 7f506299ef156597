import { callbackify } from 'node:util'
import type {
  ServerReadableStream,
  ServerUnaryCall,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { AppendReq, AppendResp, DeleteReq, TombstoneReq } from '@eventstore/db-client/generated/streams_pb'
import { DeleteResp, TombstoneResp } from '@eventstore/db-client/generated/streams_pb'
import type { EventLog } from '../log/event-log'
import type { GroupCommit } from '../log/group-commit'
import type { DeleteRequest } from '../log/stream-writes'
import { parseExpected, parseStreamName } from '../protocol/append-request'
import { deleteRefused, streamDeleted, timedOut, toServiceError, unavailable } from '../protocol/errors'
import { parseReadRequest } from '../protocol/read-request'
import { serveRead } from '../reading/counted-read'
import { messageForm } from '../reading/message-form'
import { Outlet } from '../reading/outlet'
import type { ReadCall } from '../reading/outlet'
import { serveSubscription } from '../reading/subscription'
import { serveAppend, type AppendDependencies } from './append-call'
import { serveBatchAppend } from './batch-append-call'
import type { BatchAppendCall } from './batch-append-call'

export interface StreamsDependencies extends AppendDependencies {
  log: EventLog
  /** Told of faults of the server's own. */
  onFault: (error: unknown) => void
}

export interface StreamsService {
  handlers: UntypedServiceImplementation
  /** @returns when no read uses the log any more; they end when their clients are gone */
  drained(): Promise<void>
}

/** `event_store.client.streams.Streams`; `read` answers with messages already serialised. */
export function streamsService(deps: StreamsDependencies): StreamsService {
  const { log, commits, onFault } = deps
  const reads = new Set<Promise<void>>()
  const handlers: UntypedServiceImplementation = {
    read(call: ReadCall) {
      const read = answerRead(call).finally(() => reads.delete(read))
      reads.add(read)
    },
    append: answering((call: ServerReadableStream<AppendReq, AppendResp>) => serveAppend(call, deps)),
    batchAppend(call: BatchAppendCall) {
      serveBatchAppend(call, deps)
    },
    delete: answering(async (call: ServerUnaryCall<DeleteReq, DeleteResp>) => {
      const position = new DeleteResp.Position()
      setPosition(position, await remove('soft-delete', call, commits))
      return new DeleteResp().setPosition(position)
    }),
    tombstone: answering(async (call: ServerUnaryCall<TombstoneReq, TombstoneResp>) => {
      const position = new TombstoneResp.Position()
      setPosition(position, await remove('tombstone', call, commits))
      return new TombstoneResp().setPosition(position)
    }),
  }
  return {
    handlers,
    async drained() {
      await Promise.all(reads)
    },
  }

  /** A handler as grpc-js wants it, from one that returns its answer. */
  function answering<Call, Answer>(serve: (call: Call) => Promise<Answer>): UntypedHandleCall {
    return callbackify(async (call: Call) => {
      try {
        return await serve(call)
      } catch (error) {
        throw reported(error, onFault)
      }
    }) as unknown as UntypedHandleCall
  }

  async function answerRead(call: ReadCall): Promise<void> {
    try {
      const request = parseReadRequest(call.request)
      const outlet = new Outlet(call, messageForm(log, request))
      if (request.kind === 'read') await serveRead(log, request, outlet)
      else await serveSubscription(log, commits, request, outlet)
    } catch (error) {
      call.emit('error', reported(error, onFault))
    }
  }
}

/** Turns an error into what a client may see of it, and reports those that are ours. */
function reported(error: unknown, onFault: (error: unknown) => void) {
  const failure = toServiceError(error)
  // A client that goes away in the middle of its request is no fault of the server's.
  const left = (error as { code?: unknown }).code === 'ERR_STREAM_PREMATURE_CLOSE'
  if (failure !== error && !left) onFault(error)
  return failure
}

function setPosition(message: DeleteResp.Position | TombstoneResp.Position, position: number): void {
  message.setCommitPosition(String(position))
  message.setPreparePosition(String(position))
}

/** @returns position of the event that deleted the stream. @throws ServiceError as the client's typed errors need it */
async function remove(
  kind: DeleteRequest['kind'],
  call: ServerUnaryCall<DeleteReq | TombstoneReq, unknown>,
  commits: GroupCommit,
): Promise<number> {
  const options = call.request.getOptions()
  const stream = parseStreamName(options?.getStreamIdentifier())
  const expected = options ? parseExpected(options, options.getRevision()) : 'any'
  const outcome = await commits.submit({ kind, stream, expected }, () => call.cancelled)
  switch (outcome.kind) {
    case 'written':
      // A deletion is one event that was never there before, so it has a position.
      return outcome.position ?? 0
    case 'expired':
      throw timedOut()
    case 'unavailable':
      throw unavailable(outcome.reason)
    case 'stream-deleted':
      throw streamDeleted(stream)
    case 'wrong-expected-revision':
      throw deleteRefused(stream, outcome.expected, outcome.lastRevision)
  }
}
