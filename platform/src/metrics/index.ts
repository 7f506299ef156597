import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { assertName } from './naming'

export type { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** A process's own registry, with the runtime's metrics (event loop, heap, CPU) in it. */
export function createMetrics(service: string): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  return registry
}

type Labels = readonly string[]

/** Sets the metric's values when they are asked for. What it throws fails the whole scrape. */
type Collect<Metric> = (metric: Metric) => void | Promise<void>

/** What prom-client takes of a metric whose values are asked for at each scrape. */
const collected = <Metric>(collect: Collect<Metric> | undefined) =>
  collect === undefined
    ? {}
    : {
        collect(this: Metric) {
          return collect(this)
        },
      }

/** A number that only grows. @throws when the name does not follow the rule in `naming.ts`; so do all of these. */
export const counter = (
  registry: Registry,
  name: string,
  help: string,
  labelNames: Labels = [],
  collect?: Collect<Counter>,
): Counter =>
  new Counter({
    registers: [registry],
    name: assertName(name, 'counter'),
    help,
    labelNames: [...labelNames],
    ...collected(collect),
  })

export const gauge = (
  registry: Registry,
  name: string,
  help: string,
  labelNames: Labels = [],
  collect?: Collect<Gauge>,
): Gauge =>
  new Gauge({
    registers: [registry],
    name: assertName(name, 'gauge'),
    help,
    labelNames: [...labelNames],
    ...collected(collect),
  })

/** @param buckets upper bounds, ascending, in the unit that the name ends with. */
export const histogram = (
  registry: Registry,
  name: string,
  help: string,
  labelNames: Labels,
  buckets: readonly number[],
): Histogram =>
  new Histogram({
    registers: [registry],
    name: assertName(name, 'histogram'),
    help,
    labelNames: [...labelNames],
    buckets: [...buckets],
  })

/** Durations are in seconds, as Prometheus has it. */
export const durations = (registry: Registry, name: string, help: string, labelNames: Labels = []): Histogram =>
  histogram(registry, name, help, labelNames, [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
