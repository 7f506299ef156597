import type { Readable } from 'node:stream'
import type { EventStoreDBClient } from '@eventstore/db-client'
import { convertToCommandError } from '@eventstore/db-client/dist/utils/CommandError'
import { Empty } from '@eventstore/db-client/generated/shared_pb'
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb'
import { ReadReq } from '@eventstore/db-client/generated/streams_pb'

type Read = Readable & { cancel(): void }

/** The client hides what its own reads are made of. */
interface Internals {
  GRPCStreamCreator(
    client: typeof StreamsClient,
    name: string,
    create: (client: StreamsClient) => Read,
  ): () => Promise<Read>
  callArguments(options: object, call: { deadline: number }): [metadata: object, options: object]
}

/** What every gRPC client can call, whatever service it was made for. */
interface AnyClient {
  makeServerStreamRequest(
    path: string,
    serialize: (request: ReadReq) => Buffer,
    deserialize: (message: Buffer) => Buffer,
    request: ReadReq,
    ...callArguments: [metadata: object, options: object]
  ): Read
}

/** `Read` of https://github.com/EventStore/EventStore/blob/master/src/Protos/Grpc/streams.proto */
const path = '/event_store.client.streams.Streams/Read'

/** Messages that wait to be taken: some 64 KB of usual events. */
const waitingMax = 64

/**
 * Reads all streams to the end that the log has now. The server passes over other streams than those with these prefixes, and
 * messages are handed on as they came.
 *
 * The official client's `readAll` (6.2.1) knows no filter, and decodes and parses what its caller may not want, or wants in another
 * thread.
 * @param from commit position of the event to begin with; `undefined`: the first one.
 */
export async function readAllCall(
  client: EventStoreDBClient,
  from: bigint | undefined,
  prefixes: readonly string[] | undefined,
): Promise<MessageBatches> {
  const internals = client as unknown as Internals
  const create = (grpc: StreamsClient) =>
    (grpc as unknown as AnyClient).makeServerStreamRequest(
      path,
      (request) => Buffer.from(request.serializeBinary()),
      (message) => message,
      requestOf(from, prefixes),
      ...internals.callArguments({}, { deadline: Infinity }),
    )
  return new MessageBatches(await internals.GRPCStreamCreator(StreamsClient, 'readAll', create)())
}

function requestOf(from: bigint | undefined, prefixes: readonly string[] | undefined): ReadReq {
  const all = new ReadReq.Options.AllOptions()
  if (from === undefined) all.setStart(new Empty())
  else {
    const position = new ReadReq.Options.Position()
    position.setCommitPosition(String(from))
    position.setPreparePosition(String(from))
    all.setPosition(position)
  }
  const textIds = new ReadReq.Options.UUIDOption()
  textIds.setString(new Empty())

  const options = new ReadReq.Options()
  options.setAll(all)
  options.setReadDirection(ReadReq.Options.ReadDirection.FORWARDS)
  options.setResolveLinks(false)
  options.setCount(String(Number.MAX_SAFE_INTEGER))
  options.setUuidOption(textIds)
  if (prefixes) {
    const streams = new ReadReq.Options.FilterOptions.Expression()
    streams.setPrefixList([...prefixes])
    const filter = new ReadReq.Options.FilterOptions()
    filter.setStreamIdentifier(streams)
    filter.setCount(new Empty())
    filter.setCheckpointintervalmultiplier(1)
    options.setFilter(filter)
  } else options.setNoFilter(new Empty())

  const request = new ReadReq()
  request.setOptions(options)
  return request
}

/** What a call has brought since it was asked last, at once: an iterator of its own for each message costs as much as reading it. */
export class MessageBatches implements AsyncIterable<readonly Buffer[]> {
  #waiting: Buffer[] = []
  #isOver = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(private readonly call: Read) {
    call.on('data', (message: Buffer) => {
      if (this.#waiting.push(message) === 1) setImmediate(() => this.#wake?.())
      if (this.#waiting.length >= waitingMax) call.pause()
    })
    call.once('end', () => this.#end(undefined))
    call.on('error', (error) => this.#end(error))
  }

  #end(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#error = error
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly Buffer[], void, undefined> {
    for (;;) {
      if (this.#waiting.length === 0 && !this.#isOver) await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
      const batch = this.#waiting
      if (batch.length > 0) {
        this.#waiting = []
        this.call.resume()
        yield batch
      } else if (this.#error !== undefined) throw asCommandError(this.#error)
      else if (this.#isOver) return
    }
  }

  /** Ends the call; whoever waits for more is told this error. */
  destroy(error: Error): void {
    this.#end(error)
    this.cancel()
  }

  /** Whoever stops reading early leaves a call behind that would never end by itself. */
  cancel(): void {
    this.#end(undefined)
    // Not at once: https://github.com/grpc/grpc-node/issues/1464
    setImmediate(() => this.call.cancel())
  }
}

/** An error of gRPC has a code; ours are what they are. */
const asCommandError = (error: unknown): unknown =>
  typeof (error as { code?: unknown }).code === 'number' ? convertToCommandError(error as never) : error
