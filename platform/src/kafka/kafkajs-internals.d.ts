/**
 * The parts of kafkajs 2.2.4 behind its public API that the adapter stands on. The package is pinned to that version and
 * no longer changes; an upgrade has to pass `test/integration/kafka-*.test.ts`.
 */
declare module 'kafkajs/src/network/requestQueue' {
  export interface PushedRequest {
    entry: { apiName: string }
    /** ms; `null`: the client's. */
    requestTimeout: number | null
  }

  /** Requests of one connection that wait to be sent. */
  export default class RequestQueue {
    pending: unknown[]
    /** Epoch ms until which the broker wants nothing to be sent; -1: no throttling. */
    throttledUntil: number
    throttleCheckTimeoutId: NodeJS.Timeout | null
    checkPendingRequests(): void
    scheduleCheckPendingRequests(): void
    push(request: PushedRequest): void
  }
}

declare module 'kafkajs/src/network/socketFactory' {
  import type { ISocketFactory } from 'kafkajs'
  export default function socketFactory(): ISocketFactory
}

declare module 'kafkajs/src/protocol/recordBatch/crc32C' {
  /** CRC-32C (Castagnoli) of the bytes, unsigned. */
  export default function crc32C(bytes: Buffer): number
}

declare module 'kafkajs/src/protocol/requests/produce/v7/response' {
  export interface ProduceResponse {
    topics: {
      topicName: string
      partitions: { partition: number; errorCode: number; baseOffset: string }[]
    }[]
  }
  export function decode(payload: Buffer): Promise<ProduceResponse & { clientSideThrottleTime?: number }>
  /** @throws KafkaJSProtocolError of the first partition that was refused. */
  export function parse(response: ProduceResponse): Promise<ProduceResponse>
}

declare module 'kafkajs/src/cluster' {
  import type { ISocketFactory, Logger, SASLOptions } from 'kafkajs'

  interface ProducerIdentity {
    transactionalId: string
    producerId: string
    producerEpoch: number
  }

  /** One request to one broker each; none of them retries. */
  export interface Broker {
    connectionPool: {
      send<Response>(protocol: {
        request: {
          apiKey: number
          apiVersion: number
          apiName: string
          encode(): Promise<{ buf: Buffer; buffer: Buffer }>
        }
        response: { decode(payload: Buffer): Promise<Response>; parse(response: Response): Promise<Response> }
      }): Promise<Response>
    }
    initProducerId(request: {
      transactionalId: string
      transactionTimeout: number
    }): Promise<{ producerId: string; producerEpoch: number }>
    addOffsetsToTxn(request: ProducerIdentity & { groupId: string }): Promise<unknown>
    txnOffsetCommit(
      request: ProducerIdentity & {
        groupId: string
        topics: { topic: string; partitions: { partition: number; offset: string; metadata?: string | null }[] }[]
      },
    ): Promise<unknown>
    addPartitionsToTxn(
      request: ProducerIdentity & { topics: { topic: string; partitions: number[] }[] },
    ): Promise<unknown>
    endTxn(request: ProducerIdentity & { transactionResult: boolean }): Promise<unknown>
    /** Answered when the group's members have joined. */
    joinGroup(request: {
      groupId: string
      sessionTimeout: number
      rebalanceTimeout: number
      groupProtocols: { name: string; metadata: Buffer }[]
    }): Promise<{ leaderId: string; memberId: string }>
    offsetFetch(request: {
      groupId: string
      topics: { topic: string; partitions: { partition: number }[] }[]
    }): Promise<{
      responses: { topic: string; partitions: { partition: number; offset: string; metadata?: string | null }[] }[]
    }>
  }

  export default class Cluster {
    constructor(options: {
      logger: Logger
      socketFactory: ISocketFactory
      brokers: string[]
      ssl?: { ca?: string[] }
      sasl?: SASLOptions
      authenticationTimeout: number
      reauthenticationThreshold: number
      clientId: string
      connectionTimeout: number
      requestTimeout: number
      enforceRequestTimeout: boolean
      metadataMaxAge: number
      allowAutoTopicCreation: boolean
      maxInFlightRequests: number | null
      retry: { retries: number }
    })
    connect(): Promise<void>
    disconnect(): Promise<void>
    addMultipleTargetTopics(topics: readonly string[]): Promise<void>
    /** 0: of a consumer group, 1: of a transactional id. */
    findGroupCoordinator(query: { groupId: string; coordinatorType: 0 | 1 }): Promise<Broker>
    findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
    findBroker(query: { nodeId: number }): Promise<Broker>
    brokerPool: {
      /** Any that is connected, or can be. */
      findConnectedBroker(): Promise<Broker>
    }
  }
}

declare module 'kafkajs/src/protocol/decoder' {
  export default class Decoder {
    constructor(bytes: Buffer)
    offset: number
    readInt16(): number
    readInt32(): number
    readBoolean(): boolean
    readBytes(length: number): Buffer
    readUVarIntString(): string | null
    readUVarIntArray<T>(read: (bytes: Decoder) => T): T[] | null
    readTaggedFields(): unknown
  }
}

declare module 'kafkajs/src/protocol/recordBatch/v0/decoder' {
  import type Decoder from 'kafkajs/src/protocol/decoder'
  export default function decodeRecordBatch(bytes: Decoder): Promise<{
    producerId: string
    producerEpoch: number
    firstSequence: number
    lastOffsetDelta: number
    inTransaction: boolean
    records: { key: Buffer; value: Buffer | null; timestamp: string; headers: Record<string, Buffer> }[]
  }>
}

declare module 'kafkajs/src/consumer/consumerGroup' {
  export interface FetchFault extends Error {
    /** What was tried too often, or can not be tried again. */
    cause?: FetchFault
  }

  interface Node {
    /** Where it is, as `removeBroker` wants it. */
    connectionPool: { host: string; port: number }
    disconnect(): Promise<void>
  }

  /** A member of a group. */
  export default class ConsumerGroup {
    /** Of the group, once it was joined. */
    coordinator: { nodeId: number | string } | null
    cluster: {
      brokerPool: {
        /** Of the last metadata, by node id. */
        brokers: Record<number, Node | undefined>
        removeBroker(place: { host: string; port: number }): void
      }
      refreshMetadata(): Promise<void>
    }
    /** Batches of what this node leads of the member's partitions; none after a fault that `recoverFromFetch` has mended. */
    fetch(nodeId: number): Promise<unknown[]>
    /** @throws what it can not mend. */
    recoverFromFetch(error: FetchFault): Promise<void>
    groupId: string
    /** The partition does not reach as far as was asked for, or begins later. */
    recoverFromOffsetOutOfRange(error: { topic: string; partition: number }): Promise<void>
  }
}
