import type { Projection } from '../../engine/definition/projection'
import { SnapshotError } from '../snapshots/as-of'
import { topicsOf } from '../../engine/definition/topics'
import { logSource, type EventSource, type Point } from '../source/event-source'
import { kafkaSource } from '../source/kafka-source'
import type { System } from '../system'

export type Source = 'log' | 'kafka'

export const pointText = (point: Point): string =>
  point.kind === 'position' ? `position ${point.position}` : new Date(point.at).toISOString()

/**
 * Everything up to a point, that included; without one, all there is.
 * @throws SnapshotError where the topics can not tell.
 */
export function sourceUpTo(
  point: Point | undefined,
  source: Source,
  chosen: readonly Projection[],
  { log, logger, kafka }: System,
): EventSource {
  const names = topicsOf(chosen)
  if (source === 'log') return logSource(log, names, point)
  if (!kafka) throw new SnapshotError('KAFKA_BROKERS is not set')
  // Partitions are read side by side, and clocks differ a little: only a position cuts all of them at the same fact.
  if (point?.kind === 'time') throw new SnapshotError('from Kafka only up to a position, not up to a time')
  return kafkaSource(names, { ...kafka, log: logger, until: point?.position })
}
