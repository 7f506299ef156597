import { healingOutcomes, type HealingOutcome } from '@annals/platform/healing'
import { counter, durations, gauge, type Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import type { DriftObserver } from '../drift/checker'
import { tablesOf } from '../engine/tables/generation'
import type { CatchUpObserver } from '../engine/live/catch-up'
import type { LaneObserver } from '../engine/live/lane'
import { chainReason, laneTables } from '../engine/tables/lane-table'
import type { Projection } from '../engine/definition/projection'

/** Why a read model that is not in the lane does not get on, each with a runbook of its own. */
const stopReasons = ['newer-version', 'other-version-live', 'no-log', 'other-log', 'failed'] as const

/** The projector's metrics: of the lane as a whole, and of each read model what only concerns it. */
export function createProjectorMetrics(
  registry: Registry,
  projections: readonly Projection[],
): LaneObserver & CatchUpObserver {
  const events = counter(registry, 'annals_projection_events_total', 'Events by what became of them', [
    'projection',
    'verdict',
  ])
  const foreign = counter(registry, 'annals_projection_foreign_records_total', 'Records that are no events of ours')
  const hole = gauge(
    registry,
    'annals_projection_partition_stopped',
    '1 while a partition waits for the log, or people',
    ['topic', 'partition'],
  )
  const stopped = gauge(
    registry,
    'annals_projection_stopped',
    '1 while a read model that left the lane does not get on',
    ['projection', 'reason'],
  )
  const leaves = counter(registry, 'annals_projection_leaves_total', 'Partitions at which a read model left the lane', [
    'projection',
  ])
  const joins = counter(registry, 'annals_projection_joins_total', 'Partitions at which a read model joined the lane', [
    'projection',
  ])
  const seconds = durations(registry, 'annals_projection_transaction_seconds', 'Time of one projector transaction', [])
  for (const { name: projection } of projections) {
    for (const metric of [leaves, joins]) metric.inc({ projection }, 0)
    for (const reason of stopReasons) stopped.set({ projection, reason }, 0)
  }
  return {
    applied: (projection, verdict, count) => events.inc({ projection, verdict }, count),
    foreign: () => foreign.inc(),
    waiting: ({ topic, partition }, reason) => hole.set({ topic, partition }, reason ? 1 : 0),
    transaction: (took) => seconds.observe({}, took),
    left: (projection) => leaves.inc({ projection }),
    joined: (projection) => joins.inc({ projection }),
    stopped: (projection, reason) => {
      for (const known of stopReasons) stopped.set({ projection, reason: known }, known === reason ? 1 : 0)
    },
  }
}

/** Holes met, by what became of them, and the events that healed them. */
export function createHealingMetrics(registry: Registry): (outcome: HealingOutcome, events: number) => void {
  const holes = counter(registry, 'annals_projection_hole_healings_total', 'Holes by what became of them', ['outcome'])
  const events = counter(registry, 'annals_projection_late_events_total', 'Events that Kafka did not bring')
  events.inc(0)
  for (const outcome of healingOutcomes) holes.inc({ outcome }, 0)
  return (outcome, count) => {
    holes.inc({ outcome })
    events.inc(count)
  }
}

/**
 * Partitions in which each read model is not in the lane; asked for with the metrics. -1 while the database does not answer. A chain is
 * never in the lane: of it those are counted that it has not followed for a minute.
 */
export function addPlaceGauges(registry: Registry, pool: Pool, projections: readonly Projection[]): void {
  const help = 'Partitions in which a read model is not in the lane, and catches up'
  gauge(registry, 'annals_projection_outside_partitions', help, ['projection'], async (metric) => {
    const found = await pool
      .query<{ projection: string; places: number }>(
        `select p.projection, count(*)::integer as places
         from ${laneTables.place} p join ${laneTables.checkpoint} l using (topic, partition)
         where not p.joined and (p.reason is distinct from $1
           or p.position < l.position and p.updated_at < now() - interval '1 minute')
         group by p.projection`,
        [chainReason],
      )
      .then(
        ({ rows }) => new Map(rows.map(({ projection, places }) => [projection, places])),
        () => undefined,
      )
    // Those as well that nobody feeds any more.
    const names = new Set([...projections.map(({ name }) => name), ...(found?.keys() ?? [])])
    for (const projection of names) metric.set({ projection }, found ? (found.get(projection) ?? 0) : -1)
  })
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
