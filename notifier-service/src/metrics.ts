import type { Pool } from '@annals/platform/postgres'
import { counter, durations, gauge, type Gauge, type Registry } from '@annals/platform/metrics'
import type { OpenDeliveries } from './deliveries/stats'
import { countUnread } from './deliveries/unread'
import type { BreakerState } from './vocabulary'

/** What the notifier counts. Consumer lag comes from the consumer itself. */
export const createNotifierMetrics = (registry: Registry) => ({
  intents: counter(registry, 'annals_notifier_intents_total', 'Intents recorded, by the state in which they began', [
    'rule',
    'channel',
    'state',
  ]),
  parked: counter(registry, 'annals_notifier_parked_total', 'Records that can not be read', ['topic']),
  unknownTypes: counter(registry, 'annals_notifier_unknown_types_total', 'Events of a type not known here', ['topic']),
  newerVersion: gauge(
    registry,
    'annals_notifier_partition_outdated',
    '1 while a partition waits for a newer release of this service',
    ['topic', 'partition'],
  ),
  stopped: gauge(registry, 'annals_notifier_partition_stopped', '1 while a partition waits for people', [
    'topic',
    'partition',
    'reason',
  ]),
  duplicates: counter(registry, 'annals_notifier_duplicates_total', 'Events that had been read before', ['topic']),
  holes: counter(registry, 'annals_notifier_hole_healings_total', 'Holes by what became of them', ['outcome']),
  healedEvents: counter(registry, 'annals_notifier_healed_events_total', 'Events that Kafka did not bring'),
  caughtUp: counter(
    registry,
    'annals_notifier_caught_up_total',
    'Events that a release before this one had set aside, read now',
  ),
  settled: counter(registry, 'annals_notifier_deliveries_total', 'What became of deliveries after an attempt', [
    'channel',
    'state',
  ]),
  attemptSeconds: durations(registry, 'annals_notifier_attempt_seconds', 'Time an attempt took, by its outcome', [
    'channel',
    'outcome',
  ]),
  lostAttempts: counter(registry, 'annals_notifier_lost_attempts_total', 'Attempts whose worker disappeared', [
    'channel',
  ]),
  breaker: gauge(registry, 'annals_notifier_breaker_state', '0 closed, 1 half open, 2 open', ['channel']),
})

export type NotifierMetrics = ReturnType<typeof createNotifierMetrics>

const breakerNumber: Record<BreakerState, number> = { closed: 0, 'half-open': 1, open: 2 }
export const setBreaker = (breaker: Gauge, channel: string, state: BreakerState): void =>
  breaker.set({ channel }, breakerNumber[state])

/** What stands in the way of reading, asked for when the metrics are. A database that does not answer leaves it out. */
export function measureState(registry: Registry, pool: Pool): void {
  const gaugeOf = (name: string, help: string, labelNames: string[], collect: (gauge: Gauge) => Promise<void>) =>
    gauge(registry, name, help, labelNames, (it) => collect(it).catch(() => undefined))
  const isSo = (sql: string) => async (it: Gauge) => {
    const { rows } = await pool.query<{ so: boolean }>(`select exists (${sql}) as so`)
    it.set(rows[0]!.so ? 1 : 0)
  }
  gaugeOf(
    'annals_notifier_deliveries_held',
    '1 while the deliveries are held, since they were set back',
    [],
    isSo('select from deliveries_hold'),
  )
  gaugeOf(
    'annals_log_refused',
    '1 while the event log is refused, since it is not the one that was read',
    [],
    isSo('select from log_state where refusal is not null'),
  )
  gaugeOf(
    'annals_notifier_unread_events',
    'Events of types that this release does not know, kept for one that does',
    ['type'],
    async (it) => {
      const counts = await countUnread(pool)
      it.reset()
      for (const { type, count } of counts) it.set({ type }, count)
    },
  )
}

/** What has not ended, counted when the metrics are asked for. A database that does not answer leaves them out. */
export function measureOpenDeliveries(registry: Registry, read: () => Promise<OpenDeliveries[]>): void {
  const measure = (name: string, help: string, valueOf: (row: OpenDeliveries) => number) =>
    gauge(registry, name, help, ['channel', 'state'], async (it) => {
      const rows = await read().catch(() => [])
      it.reset()
      for (const row of rows) it.set({ channel: row.channel, state: row.state }, valueOf(row))
    })
  measure('annals_notifier_open_deliveries', 'Deliveries that are not ended, by state', ({ count }) => count)
  measure(
    'annals_notifier_oldest_open_seconds',
    'Age of the oldest delivery that is not ended, by state',
    ({ oldestSeconds }) => oldestSeconds,
  )
}
