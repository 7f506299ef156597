import { counter, durations, Gauge, gauge, type Registry } from '@annals/platform/metrics'
import type { BreakerState } from './delivery/breaker'
import type { OpenDeliveries } from './ledger/stats'

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
    'annals_notifier_newer_version',
    '1 while a partition waits for a newer release of this service',
    ['topic', 'partition'],
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

/** What has not ended, counted when the metrics are asked for. A database that does not answer leaves them out. */
export function measureOpenDeliveries(registry: Registry, read: () => Promise<OpenDeliveries[]>): void {
  const measure = (name: string, help: string, valueOf: (row: OpenDeliveries) => number) =>
    new Gauge({
      registers: [registry],
      name,
      help,
      labelNames: ['channel', 'state'],
      async collect() {
        const rows = await read().catch(() => [])
        this.reset()
        for (const row of rows) this.set({ channel: row.channel, state: row.state }, valueOf(row))
      },
    })
  measure('annals_notifier_open_deliveries', 'Deliveries that are not ended, by state', ({ count }) => count)
  measure(
    'annals_notifier_oldest_open_seconds',
    'Age of the oldest delivery that is not ended, by state',
    ({ oldestSeconds }) => oldestSeconds,
  )
}
