import { topics as publishedTopics, type OpenAll } from '@annals/contracts'
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
import { createCatchUp, type CatchUpLog, type CatchUpObserver } from '../engine/live/catch-up'
import { createLane, type LaneObserver } from '../engine/live/lane'
import { isChain } from '../engine/definition/chain'
import type { Projection } from '../engine/definition/projection'
import { topicsOf } from '../engine/definition/topics'
import { installProjection } from '../engine/tables/registry'

export interface ProjectorOptions extends KafkaConnection {
  projections: readonly Projection[]
  pool: Pool
  openAll: OpenAll
  log: Logger
  metrics: Registry
  observer: LaneObserver & CatchUpObserver
  onFatal: (error: unknown) => void
  /** Finds what Kafka did not bring; without it every hole stops its partition. */
  healer?: Healer | undefined
  /** Read models that are not in the lane catch up from it; without it they wait. */
  eventLog?: CatchUpLog | undefined
  /** Tells whether the log is still the one that the read models were made from; nothing is applied while it is refused. */
  logWatch?: LogWatch | undefined
  /** The lane's consumer group. Default `annals.projection`. */
  groupId?: string
  /** Stands before the names of the published topics: copies of them are read in their place. */
  topicPrefix?: string
}

export interface Projector {
  /** Resolves when the lane's group has been joined. */
  start(): Promise<void>
  /** For readiness: as {@link PartitionedConsumer.check}; and fails while the log is refused. */
  check(): Promise<void>
  assigned(): ReturnType<PartitionedConsumer['assigned']>
  stop(): Promise<void>
}

/** A partition whose log is refused looks again so often; it needs people. */
const refusedWaitMs = 2_000

/**
 * Runs read models in one lane: one consumer group, each event fetched, decoded and opened once, one transaction for all. A read model
 * that can not follow leaves the lane, catches up from the log by itself, and joins again.
 */
export function createProjector(options: ProjectorOptions): Projector {
  const { projections, pool, openAll, log, metrics, observer, onFatal, logWatch, healer, eventLog } = options
  const prefix = options.topicPrefix ?? ''
  const published = <Place extends { topic: string }>(place: Place): Place => ({
    ...place,
    topic: place.topic.slice(prefix.length),
  })
  const topics = topicsOf(projections)
  const catchUp = createCatchUp(projections, {
    pool,
    openAll,
    log,
    eventLog,
    refusal: () => logWatch?.refusal(),
    observer,
  })
  // A chain reads the log itself. Its topics are read for it all the same: it goes as far as the lane has come.
  const lane = createLane(
    projections.filter((one) => !isChain(one)),
    {
      pool,
      openAll,
      log,
      healer,
      observer: {
        ...observer,
        left(projection, place) {
          observer.left(projection, place)
          catchUp.wake()
        },
      },
    },
  )
  const consumer = createConsumer({
    ...connectionOf(options),
    clientId: 'annals-projector',
    groupId: options.groupId ?? 'annals.projection',
    topics: topics.map((topic) => `${prefix}${topic}`),
    // All partitions: what is fetched of them together goes into one transaction.
    concurrency: topics.reduce((sum, topic) => sum + publishedTopics[topic].partitions, 0),
    log,
    metrics,
    onFatal,
  })
  const compareAtNewTopics = comparesAtNewTopics(logWatch)
  const handle: typeof lane.handle = async (batch) => {
    await compareAtNewTopics(batch)
    // Every partition has its turn again soon after an operator's choice.
    if (logWatch?.refusal() !== undefined)
      return { kind: 'wait', waitMs: refusedWaitMs, reason: 'the event log is refused' }
    const traceparent = batch.records[0]?.headers['ce_traceparent']?.toString()
    // One span for a batch: it goes on with the trace of its first event.
    return inSpan(
      {
        name: 'project',
        kind: SpanKind.CONSUMER,
        traceparent,
        attributes: {
          'messaging.system': 'kafka',
          'messaging.destination.name': batch.topic,
          'messaging.destination.partition.id': String(batch.partition),
          'messaging.batch.message_count': batch.records.length,
        },
      },
      () => lane.handle(published(batch)),
    )
  }

  return {
    async start() {
      for (const projection of projections) {
        const { version } = await installProjection(pool, projection)
        if (version !== projection.version) {
          log.error(
            { projection: projection.name, live: version, release: projection.version },
            'another version is live: it is not fed until a replay has brought this release’s version',
          )
        }
      }
      await logWatch?.start()
      await consumer.run({
        positions: (places: readonly TopicPartition[]) => lane.positions(places.map(published)),
        look: (places: readonly TopicPartition[]) => lane.look(places.map(published)),
        handle,
      })
      catchUp.start()
    },
    async check() {
      const refusal = logWatch?.refusal()
      if (refusal !== undefined) throw new Error(refusal)
      await consumer.check()
    },
    assigned: () => consumer.assigned(),
    async stop() {
      await logWatch?.stop()
      await Promise.all([consumer.stop(), catchUp.stop()])
    },
  }
}
