/**
 * The names of our metrics: `annals_<process or area>_<what>_<unit>`, in small letters. `<what>` is left out where it would repeat
 * the area.
 *
 * - A counter ends with `_total`, after what it counts.
 * - A gauge or histogram ends with its base unit (`seconds`, `bytes`), or with the things it counts (`records`).
 * - A gauge that is 1 while something is so ends with that state (`ready`); one with a series for each state, with `state` or `role`.
 *
 * The runtime's own metrics keep the names that prom-client gives them (`process_*`, `nodejs_*`): dashboards for them exist.
 * `dev/checks/metrics-check.mjs` holds alarms and documents to the names that exist, and knows the areas.
 */
const units = ['seconds', 'bytes', 'position']
const things = ['records', 'events', 'streams', 'deliveries', 'commands', 'jobs', 'partitions']
const states = ['ready', 'degraded', 'refused', 'held', 'waiting', 'stopped', 'outdated', 'state', 'role']

export type MetricKind = 'counter' | 'gauge' | 'histogram'

const endings: Record<MetricKind, readonly string[]> = {
  counter: ['total'],
  gauge: [...units, ...things, ...states],
  histogram: [...units, ...things],
}

/** @returns what is wrong with a metric's name, as a sentence; `undefined`: nothing. */
export function nameFault(name: string, kind: MetricKind): string | undefined {
  if (!/^annals(_[a-z]+){2,}$/.test(name)) return `The metric ${name} is not named annals_<area>_<what>_<unit>.`
  const ending = name.slice(name.lastIndexOf('_') + 1)
  if (endings[kind].includes(ending)) return undefined
  return `The ${kind} ${name} ends with "${ending}"; there are: ${endings[kind].join(', ')}.`
}

/** @returns the name. @throws when it does not follow the rule: the process does not start, and no dashboard is built on it. */
export function assertName(name: string, kind: MetricKind): string {
  const fault = nameFault(name, kind)
  if (fault !== undefined) throw new Error(fault)
  return name
}
