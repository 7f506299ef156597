import { randomUUID } from 'node:crypto'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { ServiceDefinition } from '@grpc/grpc-js'
import { GossipService } from '@eventstore/db-client/generated/gossip_grpc_pb'
import { ServerFeaturesService } from '@eventstore/db-client/generated/serverfeatures_grpc_pb'
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb'
import { EventLog } from './log/event-log'
import { GroupCommit } from './log/group-commit'
import { gossipService } from './services/gossip-service'
import { pageInterceptor } from './services/page-interceptor'
import { serverFeaturesService } from './services/server-features-service'
import { streamsService } from './services/streams-service'

export interface EventStoreOptions {
  /** 0 takes a free one. */
  port: number
  /** Made when missing; one server at a time. */
  dataDirectory: string
  /** Default 127.0.0.1: there is no authentication, so nobody else should reach it. */
  host?: string
  /** Bytes of one append; default 1 MiB, as EventStoreDB has it. */
  appendSizeMax?: number
  /** In PEM; default: plaintext. */
  tls?: { certificate: Buffer; key: Buffer }
  /** Told of faults of the server's own, which the client sees as INTERNAL. */
  onFault?: (error: unknown) => void
}

export interface EventStore {
  port: number
  /** Connection string for the official client. */
  url: string
  /** Ends calls, commits what waits and closes the log; again is the same. */
  close(): Promise<void>
}

const APPEND_SIZE_DEFAULT = 1024 * 1024
/** Time for calls to end by themselves; subscriptions never do, so it is short. */
const CLOSE_GRACE_MS = 100

/** The client sends at most 3 MiB of events in one message; a margin above. */
const MESSAGE_BYTES_MAX = 17 * 1024 * 1024

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength)

/** `read` hands over messages that the log holds in serialised form already. */
const streamsDefinition: ServiceDefinition = {
  ...(StreamsService as unknown as ServiceDefinition),
  read: { ...StreamsService.read, responseSerialize: asBuffer },
}

/**
 * Opens the log and serves it on `host:port`.
 * @throws Error when the port is taken or the log is in use or damaged
 */
export async function startEventStore(options: EventStoreOptions): Promise<EventStore> {
  const { host = '127.0.0.1', appendSizeMax = APPEND_SIZE_DEFAULT, onFault = () => undefined } = options
  const log = new EventLog(options.dataDirectory)
  const commits = new GroupCommit(log, onFault)
  if (log.isEmpty) await writeFirstEvent(commits)
  const server = new Server({
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': -1,
    interceptors: [pageInterceptor([StreamsService.read.path, StreamsService.batchAppend.path])],
  })
  let port = options.port
  const streams = streamsService({ log, commits, appendSizeMax, onFault })
  server.addService(streamsDefinition, streams.handlers)
  server.addService(
    GossipService as unknown as ServiceDefinition,
    gossipService(() => port),
  )
  server.addService(
    ServerFeaturesService as unknown as ServiceDefinition,
    serverFeaturesService([StreamsService, GossipService, ServerFeaturesService] as unknown as ServiceDefinition[]),
  )
  try {
    port = await bind(server, `${host}:${options.port}`, credentialsOf(options))
  } catch (error) {
    log.close()
    throw error
  }
  let closing: Promise<void> | undefined
  const close = async () => {
    commits.close()
    await shutDown(server)
    await streams.drained()
    log.close()
  }
  return {
    port,
    url: `esdb://${host}:${port}?tls=${options.tls !== undefined}`,
    close: () => (closing ??= close()),
  }
}

/** A fresh EventStoreDB is not empty: system events come first in $all. Neither is this, so that readers expect them. */
async function writeFirstEvent(commits: GroupCommit): Promise<void> {
  const data = Buffer.from(JSON.stringify({ $maxAge: 2_592_000 }))
  const event = {
    id: randomUUID(),
    type: '$metadata',
    contentType: 'application/json',
    metadata: new Uint8Array(),
    data,
  }
  await commits.submit({ kind: 'append', stream: '$$$scavenges', expected: 'any', events: [event] }, () => false)
}

const credentialsOf = ({ tls }: EventStoreOptions): ServerCredentials =>
  tls
    ? ServerCredentials.createSsl(null, [{ cert_chain: tls.certificate, private_key: tls.key }])
    : ServerCredentials.createInsecure()

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)))
  })
}

async function shutDown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => {
      server.forceShutdown()
      resolve()
    }, CLOSE_GRACE_MS)
    server.tryShutdown(() => {
      clearTimeout(force)
      resolve()
    })
  })
}
