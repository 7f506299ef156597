import { healingOutcomes, type HealingOutcome } from '@annals/platform/healing'
import { counter, durations, gauge, type Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import type { DriftObserver } from '../drift/checker'
import { tablesOf } from '../engine/tables/generation'
import type { LiveObserver } from '../engine/live/live'
import type { Projection } from '../engine/definition/projection'

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

/** Holes met, by what became of them, and the events that healed them; for each projection. */
export function createHealingMetrics(
  registry: Registry,
  projections: readonly Projection[],
): (projection: string) => (outcome: HealingOutcome, events: number) => void {
  const holes = counter(registry, 'annals_projection_hole_healings_total', 'Holes by what became of them', [
    'projection',
    'outcome',
  ])
  const events = counter(registry, 'annals_projection_healed_events_total', 'Events that Kafka did not bring', [
    'projection',
  ])
  for (const { name } of projections) {
    events.inc({ projection: name }, 0)
    for (const outcome of healingOutcomes) holes.inc({ projection: name, outcome }, 0)
  }
  return (projection) => (outcome, count) => {
    holes.inc({ projection, outcome })
    events.inc({ projection }, count)
  }
}

/** What the drift checker has found. Every series is there from the start: an alarm can tell 0 from nothing. */
export function createDriftMetrics(registry: Registry, projections: readonly Projection[]): DriftObserver {
  const checked = counter(registry, 'annals_drift_checked_total', 'Streams folded afresh and compared', ['projection'])
  const found = counter(registry, 'annals_drift_found_total', 'Streams found to differ from the log', ['projection'])
  const failed = counter(registry, 'annals_drift_failures_total', 'Drift checks that came to no result', ['projection'])
  const differing = gauge(registry, 'annals_drift_streams', 'Streams known to differ from the log now', ['projection'])
  for (const { name: projection } of projections) {
    for (const metric of [checked, found, failed]) metric.inc({ projection }, 0)
    differing.set({ projection }, 0)
  }
  return {
    checked: (projection) => checked.inc({ projection }),
    found: (projection) => found.inc({ projection }),
    differing: (projection, streams) => differing.set({ projection }, streams),
    failed: (projection) => failed.inc({ projection }),
  }
}

/** @param refusal why the log is refused; `undefined`: it is not. */
export function addLogRefusedGauge(registry: Registry, refusal: () => string | undefined): void {
  gauge(registry, 'annals_log_refused', '1 while the event log is not the one that was read', [], (it) =>
    it.set(refusal() === undefined ? 0 : 1),
  )
}

/** Streams whose events are parked, and since when; asked for with the metrics. -1 while the database does not answer. */
export function addParkedGauges(registry: Registry, pool: Pool, projections: readonly Projection[]): void {
  const asked = (name: string, help: string, value: string) =>
    gauge(registry, name, help, ['projection'], async (parked) => {
      for (const projection of projections) {
        const result = await pool
          .query<{ value: number }>(
            `select (${value})::double precision as value from ${tablesOf(projection, 'live').parked} where error is not null`,
          )
          .then(
            ({ rows }) => rows[0]!.value,
            () => -1,
          )
        parked.set({ projection: projection.name }, result)
      }
    })
  asked('annals_projection_parked_streams', 'Streams blocked by an event that is parked', 'count(distinct stream)')
  asked(
    'annals_projection_parked_oldest_seconds',
    'Time since the oldest parked event was parked, or last tried in vain; 0: none is',
    'coalesce(extract(epoch from now() - min(parked_at)), 0)',
  )
}
