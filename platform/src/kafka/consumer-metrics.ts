import { counter, gauge, type Counter, type Gauge, type Registry } from '../metrics'
import type { Flow } from './flows'
import type { TopicPartition } from './ports'
import { restartReasons, type RestartReason } from './start-of'

type AskedGauge = Gauge & { asks: ((gauge: Gauge) => void)[] }

export type ConsumerMetrics = ReturnType<typeof consumerMetrics>

/** Two consumers of one process share the metrics; the group tells them apart. */
export function consumerMetrics(registry: Registry, groupId: string, topics: readonly string[]) {
  const counted = (name: string, help: string, labels: string[]) =>
    (registry.getSingleMetric(name) as Counter | undefined) ?? counter(registry, name, help, labels)
  const measured = (name: string, help: string, labels: string[]) =>
    (registry.getSingleMetric(name) as Gauge | undefined) ?? gauge(registry, name, help, labels)
  /** A gauge whose value is asked for at each scrape, of every consumer of the process. */
  const asked = (name: string, help: string, labelNames: string[]) => {
    const known = registry.getSingleMetric(name) as AskedGauge | undefined
    if (known) return known
    const asks: AskedGauge['asks'] = []
    const made = gauge(registry, name, help, labelNames, (it) => {
      it.reset()
      for (const ask of asks) ask(it)
    })
    return Object.assign(made, { asks })
  }
  const place = ['group', 'topic', 'partition']
  const records = counted('annals_consumer_records_total', 'Records handled', ['group', 'topic'])
  const lag = measured('annals_consumer_lag_records', 'Records not yet handled', place)
  const waiting = measured('annals_consumer_partition_waiting', '1 while a partition waits', place)
  const restarted = counted(
    'annals_consumer_restarted_partitions_total',
    'Partitions read from their first record again, because the topic is not the one that was read',
    ['group', 'topic', 'reason'],
  )
  const age = asked(
    'annals_consumer_lag_seconds',
    'Age of the oldest record that is known and not handled; 0: none',
    place,
  )
  const silent = asked('annals_consumer_silent_seconds', 'Time since the brokers last answered this group', ['group'])
  const secondsSince = (epochMs: number) => Math.max(0, Date.now() - epochMs) / 1_000
  // There from the start: an alarm can tell the first one from nothing.
  for (const topic of topics) for (const reason of restartReasons) restarted.inc({ group: groupId, topic, reason }, 0)
  return {
    /** @param flowsNow what this consumer holds. @param heardAt epoch ms of the brokers' last answer. */
    ask(flowsNow: () => Iterable<Flow>, heardAt: () => number): void {
      age.asks.push((it) => {
        for (const { topic, partition, behindSince } of flowsNow())
          it.set({ group: groupId, topic, partition }, behindSince === undefined ? 0 : secondsSince(behindSince))
      })
      silent.asks.push((it) => it.set({ group: groupId }, secondsSince(heardAt())))
    },
    handled: (topic: string, count: number) => records.inc({ group: groupId, topic }, count),
    lag: ({ topic, partition }: TopicPartition, count: number) => lag.set({ group: groupId, topic, partition }, count),
    waiting: ({ topic, partition }: TopicPartition, on: boolean) =>
      waiting.set({ group: groupId, topic, partition }, on ? 1 : 0),
    restarted: (topic: string, reason: RestartReason) => restarted.inc({ group: groupId, topic, reason }),
    lost: ({ topic, partition }: TopicPartition) => {
      lag.remove({ group: groupId, topic, partition: String(partition) })
      waiting.remove({ group: groupId, topic, partition: String(partition) })
    },
  }
}
