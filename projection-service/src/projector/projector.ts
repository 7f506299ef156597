import type { OpenAll } from '@annals/contracts'
import type { Healer } from '@annals/platform/healing'
import {
  createConsumer,
  type PartitionedConsumer,
  type TopicPartition,
  connectionOf,
  type KafkaConnection,
} from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { comparesAtNewTopics, type LogWatch } from '@annals/platform/log-watch'
import type { Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import { inSpan, SpanKind } from '@annals/platform/tracing'
import { createLiveProjection, type LiveObserver } from '../engine/live/live'
import type { Projection } from '../engine/definition/projection'
import { installProjection } from '../engine/tables/registry'

export interface ProjectorOptions extends KafkaConnection {
  projections: readonly Projection[]
  pool: Pool
  openAll: OpenAll
  log: Logger
  metrics: Registry
  observerOf: (projection: string) => LiveObserver
  onFatal: (error: unknown) => void
  /** Finds what Kafka did not bring; without it every hole stops its partition. */
  healerOf?: ((projection: string, log: Logger) => Healer) | undefined
  /** Tells whether the log is still the one that the read models were made from; nothing is applied while it is refused. */
  logWatch?: LogWatch | undefined
  /** Group of a projection; `annals.projection.<name>` unless told otherwise. */
  groupOf?: (projection: string) => string
  /** Stands before the names of the published topics: copies of them are read in their place. */
  topicPrefix?: string
}

export interface Projector {
  /** Resolves when every projection's group has been joined. */
  start(): Promise<void>
  /** For readiness: as {@link PartitionedConsumer.check}, of every projection's group; and fails while the log is refused. */
  check(): Promise<void>
  assigned(): ReturnType<PartitionedConsumer['assigned']>
  stop(): Promise<void>
}

/** A partition whose log is refused looks again so often; it needs people. */
const refusedWaitMs = 2_000

/**
 * Runs projections, each with a consumer group of its own: one that has to wait holds up no other, and a rebuilt one
 * starts from its own checkpoints.
 */
export function createProjector(options: ProjectorOptions): Projector {
  const { projections, pool, openAll, metrics, observerOf, onFatal, logWatch } = options
  const groupOf = options.groupOf ?? ((name: string) => `annals.projection.${name}`)

  const prefix = options.topicPrefix ?? ''
  const published = <Place extends { topic: string }>(place: Place): Place => ({
    ...place,
    topic: place.topic.slice(prefix.length),
  })

  const running = projections.map((projection) => {
    const log = options.log.child({ projection: projection.name })
    const live = createLiveProjection(projection, {
      pool,
      openAll,
      log,
      observer: observerOf(projection.name),
      healer: options.healerOf?.(projection.name, log),
    })
    const consumer = createConsumer({
      ...connectionOf(options),
      clientId: `annals-projector-${projection.name}`,
      groupId: groupOf(projection.name),
      topics: projection.topics.map((topic) => `${prefix}${topic}`),
      log,
      metrics,
      onFatal,
    })
    const compareAtNewTopics = comparesAtNewTopics(logWatch)
    const handle: typeof live.handle = async (batch) => {
      await compareAtNewTopics(batch)
      // Every partition has its turn again soon after an operator's choice.
      if (logWatch?.refusal() !== undefined)
        return { kind: 'wait', waitMs: refusedWaitMs, reason: 'the event log is refused' }
      const traceparent = batch.records[0]?.headers['ce_traceparent']?.toString()
      // One span for a batch: it goes on with the trace of its first event.
      return inSpan(
        {
          name: `project ${projection.name}`,
          kind: SpanKind.CONSUMER,
          traceparent,
          attributes: {
            'messaging.system': 'kafka',
            'messaging.destination.name': batch.topic,
            'messaging.destination.partition.id': String(batch.partition),
            'messaging.batch.message_count': batch.records.length,
          },
        },
        () => live.handle(published(batch)),
      )
    }
    return {
      projection,
      consumer,
      handler: { positions: (places: readonly TopicPartition[]) => live.positions(places.map(published)), handle },
    }
  })

  return {
    async start() {
      for (const { projection } of running) {
        const { version } = await installProjection(pool, projection)
        if (version !== projection.version) {
          options.log.error(
            { projection: projection.name, live: version, release: projection.version },
            'another version is live: its partitions wait until a replay has brought this release’s version',
          )
        }
      }
      await logWatch?.start()
      await Promise.all(running.map(({ consumer, handler }) => consumer.run(handler)))
    },
    async check() {
      const refusal = logWatch?.refusal()
      if (refusal !== undefined) throw new Error(refusal)
      await Promise.all(running.map(({ consumer }) => consumer.check()))
    },
    assigned: () => running.flatMap(({ consumer }) => consumer.assigned()),
    async stop() {
      await logWatch?.stop()
      await Promise.all(running.map(({ consumer }) => consumer.stop()))
    },
  }
}
