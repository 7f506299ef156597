import Cluster, { type Broker } from 'kafkajs/src/cluster'
import { connectionTimeoutMs, inRandomOrder, readTimeoutMs, silentLogger, type KafkaOptions } from './client'
import { securityOf } from './connection'
import { socketFactory } from './sockets'

/** Without effect here: a connection is used once. */
const metadataMaxAgeMs = 300_000

/** Runs `work` with a connection to some broker: for what kafkajs does not ask by itself. */
export async function withBroker<T>(options: KafkaOptions, work: (broker: Broker) => Promise<T>): Promise<T> {
  const cluster = new Cluster({
    logger: silentLogger(options),
    socketFactory,
    brokers: inRandomOrder(options.brokers),
    ...securityOf(options),
    clientId: options.clientId,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: readTimeoutMs,
    enforceRequestTimeout: true,
    metadataMaxAge: metadataMaxAgeMs,
    allowAutoTopicCreation: false,
    maxInFlightRequests: 1,
    // One more than there are brokers to try: each attempt goes to another.
    retry: { retries: options.brokers.length },
  })
  try {
    await cluster.connect()
    return await work(await cluster.brokerPool.findConnectedBroker())
  } finally {
    // Not waited for: a broker that is gone would hold it up.
    void cluster.disconnect().catch(() => undefined)
  }
}
