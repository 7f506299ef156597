import type { Logger } from '@annals/platform/log'
import { counter, gauge, type Gauge, type Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import type { Projection } from '../engine/definition/projection'
import { lastRebuilds, rebuildOutcomes, rebuildTotals } from '../replay/rebuild/rebuild-history'

/** A scrape asks every metric, and there may be several scrapers: one look at the table serves them all. */
const freshMs = 5_000

/**
 * How rebuilds stand, from what they write down in `annals.rebuild`: their own processes are gone before anybody can scrape them.
 * While the database does not answer there are no series of them, rather than old ones.
 */
export function addRebuildMetrics(
  registry: Registry,
  pool: Pool,
  projections: readonly Projection[],
  log: Logger,
  now = () => performance.now(),
): void {
  const load = async () => ({ last: await lastRebuilds(pool), totals: await rebuildTotals(pool) })
  let looked: { at: number; found: ReturnType<typeof load> } | undefined
  const found = async () => {
    if (!looked || now() - looked.at > freshMs) looked = { at: now(), found: load() }
    try {
      return await looked.found
    } catch (error) {
      log.warn({ err: error }, 'the state of rebuilds could not be read')
      return undefined
    }
  }
  type Found = NonNullable<Awaited<ReturnType<typeof found>>>
  const add = (name: string, help: string, labels: string[], tell: (metric: Gauge, known: Found) => void) =>
    gauge(registry, name, help, ['projection', ...labels], async (metric) => {
      const known = await found()
      metric.reset()
      if (known) tell(metric, known)
    })
  const seconds = (at: string) => Date.parse(at) / 1_000

  add('annals_rebuild_state', '1 for what became of the last rebuild', ['state'], (metric, { last }) => {
    for (const { name: projection } of projections) {
      const outcome = last.find((one) => one.projection === projection)?.outcome
      for (const state of rebuildOutcomes) metric.set({ projection, state }, state === outcome ? 1 : 0)
    }
  })
  add('annals_rebuild_events', 'Events that the last rebuild has folded', [], (metric, { last }) => {
    for (const { projection, events } of last) metric.set({ projection }, events)
  })
  add('annals_rebuild_updated_timestamp_seconds', 'When the last rebuild wrote last', [], (metric, { last }) => {
    for (const { projection, updatedAt } of last) metric.set({ projection }, seconds(updatedAt))
  })
  add('annals_rebuild_last_success_timestamp_seconds', 'When a rebuild went live last', [], (metric, { totals }) => {
    for (const { projection, succeededAt } of totals) if (succeededAt) metric.set({ projection }, seconds(succeededAt))
  })
  const failuresHelp = 'Calls of rebuilds that failed or died; a death is counted when the next call takes up'
  counter(registry, 'annals_rebuild_failures_total', failuresHelp, ['projection'], async (metric) => {
    const known = await found()
    metric.reset()
    if (!known) return
    for (const { name: projection } of projections) {
      metric.inc({ projection }, known.totals.find((one) => one.projection === projection)?.failures ?? 0)
    }
  })
}
