import { randomUUID } from 'node:crypto'
import { finished, type Duplex } from 'node:stream'
import { UnknownError, type EventStoreDBClient } from '@eventstore/db-client'
import { unpackToCommandError } from '@eventstore/db-client/dist/streams/appendToStream/unpackError'
import { convertToCommandError } from '@eventstore/db-client/dist/utils/CommandError'
import { StreamIdentifier, UUID } from '@eventstore/db-client/generated/shared_pb'
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb'
import { BatchAppendReq, type BatchAppendResp } from '@eventstore/db-client/generated/streams_pb'
import { Empty } from 'google-protobuf/google/protobuf/empty_pb'
import { UnknownAppendOutcome } from './errors'
import type { Appended, NewLogEvent } from './event-log'

interface Waiting {
  stream: string
  resolve(appended: Appended): void
  reject(error: unknown): void
}

/** The appends on one call that have not been answered. */
type Unanswered = Map<string, Waiting>

/** The client hides what its own appends are made of; that they are there is checked when the first append is made. */
interface Internals {
  GRPCStreamCreator(
    client: typeof StreamsClient,
    name: string,
    create: (client: StreamsClient) => Duplex,
    cache: WeakMap<object, Duplex>,
  ): () => Promise<Duplex>
  callArguments(options: object, call: { deadline: number }): Parameters<StreamsClient['batchAppend']>
}

/**
 * Appends through one long call for each connection (`BatchAppend` of
 * https://github.com/EventStore/EventStore/blob/master/src/Protos/Grpc/streams.proto), made anew when it has ended.
 *
 * The official client's `appendToStream` does so too, and can end the process (6.2.1). It keeps the appends of all
 * calls in one list. When one call breaks, it gives up those of another call. Their answers then throw in an event of
 * the stream.
 */
export function createAppends() {
  const duplexes = new WeakMap<object, Duplex>()
  const unansweredOf = new WeakMap<Duplex, Unanswered>()

  function duplexOf(client: EventStoreDBClient): Promise<Duplex> {
    const internals = client as unknown as Internals
    const create = (grpc: StreamsClient) => {
      const duplex = grpc.batchAppend(...internals.callArguments({}, { deadline: Infinity })) as unknown as Duplex
      unansweredOf.set(duplex, watch(duplex))
      return duplex
    }
    return internals.GRPCStreamCreator(StreamsClient, 'batchAppend', create, duplexes)()
  }

  return {
    /**
     * Appends all events or none.
     * @param timeoutMs what is not answered within it counts as unknown; a late answer is ignored.
     * @throws the client's CommandError; UnknownAppendOutcome.
     */
    append(
      client: EventStoreDBClient,
      stream: string,
      events: readonly NewLogEvent[],
      expectedRevision: number,
      timeoutMs: number,
    ): Promise<Appended> {
      const id = randomUUID()
      const request = requestOf(id, stream, events, expectedRevision)
      const opening = duplexOf(client)
      return new Promise<Appended>((resolve, reject) => {
        let unanswered: Unanswered | undefined
        let isSettled = false
        const settle = () => {
          isSettled = true
          clearTimeout(timer)
          unanswered?.delete(id)
          // V8 keeps former tables of a map alive for a while, and what they hold: not the whole command behind its answer.
          entry.resolve = ignored
          entry.reject = ignored
        }
        const entry: Waiting = {
          stream,
          resolve: (appended) => (settle(), resolve(appended)),
          reject: (error) => (settle(), reject(error as Error)),
        }
        const timer = setTimeout(
          () => entry.reject(new UnknownAppendOutcome(`no answer within ${timeoutMs} ms`)),
          timeoutMs,
        )
        const send = (duplex: Duplex) => {
          // Told as not answered: it must not be written afterwards.
          if (isSettled) return
          unanswered = unansweredOf.get(duplex)!
          unanswered.set(id, entry)
          // Who asks waits for the answer, so what is buffered here is bounded by the commands under way.
          duplex.write(request)
        }
        opening.then(send).catch(entry.reject)
      })
    },
  }
}

const ignored = () => undefined

function watch(duplex: Duplex): Unanswered {
  const unanswered: Unanswered = new Map()
  duplex.on('data', (answer: BatchAppendResp) => {
    const id = answer.getCorrelationId()?.getString() ?? ''
    const append = unanswered.get(id)
    if (append) tell(append, answer)
  })
  finished(duplex, (error) => {
    const reason = error ? convertToCommandError(error) : new UnknownAppendOutcome('the server ended the call')
    for (const append of unanswered.values()) append.reject(reason)
  })
  return unanswered
}

function tell({ stream, resolve, reject }: Waiting, answer: BatchAppendResp): void {
  const success = answer.getSuccess()
  if (success) {
    const commit = success.getPosition()?.getCommitPosition()
    return resolve({
      revision: Number(success.getCurrentRevision()),
      position: commit === undefined ? -1n : BigInt(commit),
    })
  }
  const status = answer.getError()
  // A status without details has no class of its own.
  if (!status?.getDetails())
    return reject(new UnknownError(undefined, status?.getMessage() ?? 'an answer without result'))
  reject(unpackToCommandError(status, stream))
}

/** Without a deadline: the server's clock would judge it, and the server has a limit of its own (`--commit-timeout-ms`). */
function requestOf(id: string, stream: string, events: readonly NewLogEvent[], expectedRevision: number) {
  const options = new BatchAppendReq.Options()
  const name = new StreamIdentifier()
  name.setStreamName(Buffer.from(stream))
  options.setStreamIdentifier(name)
  if (expectedRevision < 0) options.setNoStream(new Empty())
  else options.setStreamPosition(String(expectedRevision))

  const request = new BatchAppendReq()
  request.setCorrelationId(uuid(id))
  request.setOptions(options)
  request.setProposedMessagesList(events.map(proposed))
  request.setIsFinal(true)
  return request
}

function proposed({ id, type, data, metadata }: NewLogEvent) {
  const message = new BatchAppendReq.ProposedMessage()
  message.setId(uuid(id))
  message.getMetadataMap().set('type', type).set('content-type', 'application/json')
  message.setData(json(data))
  message.setCustomMetadata(json(metadata))
  return message
}

function uuid(id: string) {
  const value = new UUID()
  value.setString(id)
  return value
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value))
