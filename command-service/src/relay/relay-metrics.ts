import { pause } from '@annals/platform/backoff'
import type { OutgoingRecord } from '@annals/platform/kafka'
import { counter, durations, gauge, histogram, type Registry } from '@annals/platform/metrics'

export type Role = 'starting' | 'leader' | 'standby' | 'refused'
const roles: readonly Role[] = ['starting', 'leader', 'standby', 'refused']

/** A scrape does not wait for a log that does not answer; the gauge then keeps its last value. */
const headMsMax = 1_000

export interface RelayMetrics {
  role(role: Role): void
  fenced(): void
  failed(): void
  /** Begins the counts of these topics. */
  routed(topics: readonly string[]): void
  /** One transaction. */
  published(records: readonly OutgoingRecord[], seconds: number): void
  /** An event of which not even a reference fits into a record. */
  leftOut(): void
  refused(isRefused: boolean): void
  position(position: bigint): void
  /** Called at each scrape. @returns seconds since the oldest fact that was read and not yet published; 0: none waits. */
  lag(ask: () => number): void
  /** Called at each scrape. @returns position of the newest event in the log. */
  head(ask: () => Promise<bigint | undefined>): void
}

/** @param route its name: where the work is divided, one has to lead in each. */
export function createRelayMetrics(registry: Registry, route: string): RelayMetrics {
  const events = counter(registry, 'annals_relay_events_published_total', 'Events published, by topic', ['topic'])
  const fenced = counter(registry, 'annals_relay_fenced_total', 'Times another relay took over from this one')
  const failed = counter(
    registry,
    'annals_relay_transactions_failed_total',
    'Transactions given up, other than by fencing',
  )
  const seconds = durations(registry, 'annals_relay_transaction_seconds', 'Time of one transaction')
  const references = counter(
    registry,
    'annals_relay_events_by_reference_total',
    'Events published without their content, which is no JSON or too large for Kafka, by topic',
    ['topic'],
  )
  const leftOut = counter(
    registry,
    'annals_relay_events_left_out_total',
    "Events whose stream's name is too large for Kafka",
  )
  const refused = gauge(registry, 'annals_relay_refused', "1 while the relay waits for an operator's word")
  refused.set(0)
  const position = gauge(registry, 'annals_relay_position', 'Log position of the last event published')
  const role = gauge(registry, 'annals_relay_role', '1 for the role this instance has in its route', ['role', 'route'])
  const sizes = [1, 2, 5, 10, 50, 100, 500, 1_000, 2_000]
  const size = histogram(registry, 'annals_relay_batch_events', 'Events in one transaction', [], sizes)
  let lag = () => 0
  let head: () => Promise<bigint | undefined> = async () => undefined
  const lagHelp = 'Age of the oldest fact that is read and not yet published; 0: none'
  gauge(registry, 'annals_relay_lag_seconds', lagHelp, [], (it) => it.set(lag()))
  const headHelp = 'Position of the newest event in the log, published or not'
  gauge(registry, 'annals_relay_log_head_position', headHelp, [], async (it) => {
    const position = await Promise.race([head().catch(() => undefined), pause(headMsMax)])
    if (position !== undefined) it.set(Number(position))
  })
  return {
    role: (now) => roles.forEach((each) => role.set({ role: each, route }, each === now ? 1 : 0)),
    fenced: () => fenced.inc(),
    failed: () => failed.inc(),
    routed: (topics) => topics.forEach((topic) => references.inc({ topic }, 0)),
    published(records, took) {
      for (const { topic, value } of records) {
        events.inc({ topic })
        if (value === null) references.inc({ topic })
      }
      size.observe(records.length)
      seconds.observe(took)
    },
    leftOut: () => leftOut.inc(),
    refused: (is) => refused.set(is ? 1 : 0),
    position: (at) => position.set(Number(at)),
    lag: (ask) => (lag = ask),
    head: (ask) => (head = ask),
  }
}
