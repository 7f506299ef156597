import { counter, durations, gauge, Gauge, type Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import { tablesOf } from '../engine/generation'
import type { LiveObserver } from '../engine/live'
import type { Projection } from '../engine/projection'

/** Reasons for which a partition waits, each with a runbook of its own. */
const waitReasons = ['hole', 'newer-version', 'other-version-live'] as const

/** The projector's metrics, one observer for each projection. */
export function createProjectorMetrics(registry: Registry): (projection: string) => LiveObserver {
  const events = counter(registry, 'annals_projection_events_total', 'Events by what became of them', [
    'projection',
    'verdict',
  ])
  const foreign = counter(registry, 'annals_projection_foreign_records_total', 'Records that are no events of ours', [
    'projection',
  ])
  const stopped = gauge(registry, 'annals_projection_partition_stopped', '1 while a partition waits for people', [
    'projection',
    'topic',
    'partition',
    'reason',
  ])
  const seconds = durations(registry, 'annals_projection_transaction_seconds', 'Time of one projector transaction', [
    'projection',
  ])
  return (projection) => ({
    applied: (verdict, count) => events.inc({ projection, verdict }, count),
    foreign: () => foreign.inc({ projection }),
    waiting: ({ topic, partition }, reason) => {
      for (const known of waitReasons)
        stopped.set({ projection, topic, partition, reason: known }, known === reason ? 1 : 0)
    },
    transaction: (took) => seconds.observe({ projection }, took),
  })
}

/** Streams whose events are parked, counted when the metrics are asked for; -1 while the database does not answer. */
export function addParkedGauge(registry: Registry, pool: Pool, projections: readonly Projection[]): void {
  const parked = new Gauge({
    registers: [],
    name: 'annals_projection_parked_streams',
    help: 'Streams blocked by an event that is parked',
    labelNames: ['projection'],
    async collect() {
      for (const projection of projections) {
        const count = await pool
          .query<{ count: bigint }>(`select count(distinct stream) from ${tablesOf(projection, 'live').parked}`)
          .then(
            ({ rows }) => Number(rows[0]!.count),
            () => -1,
          )
        this.set({ projection: projection.name }, count)
      }
    },
  })
  registry.registerMetric(parked)
}
