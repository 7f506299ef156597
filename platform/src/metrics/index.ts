import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** A process's own registry, with the runtime's metrics (event loop, heap, CPU) in it. */
export function createMetrics(service: string): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  return registry
}

type Labels = readonly string[]

/** Short forms that name a metric once. Durations are in seconds, as Prometheus has it. */
export const counter = (registry: Registry, name: string, help: string, labelNames: Labels = []) =>
  new Counter({ registers: [registry], name, help, labelNames: [...labelNames] })
export const gauge = (registry: Registry, name: string, help: string, labelNames: Labels = []) =>
  new Gauge({ registers: [registry], name, help, labelNames: [...labelNames] })
export const durations = (registry: Registry, name: string, help: string, labelNames: Labels = []) =>
  new Histogram({
    registers: [registry],
    name,
    help,
    labelNames: [...labelNames],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  })
