import { topics, type TopicName } from '@annals/contracts'
import type { Projection } from './projection'

/** The topics that these projections are fed from. */
export const topicsOf = (projections: readonly Projection[]): TopicName[] => [
  ...new Set(projections.flatMap((projection) => projection.topics)),
]

/** Prefixes of the streams that these topics carry. */
export const prefixesOf = (names: readonly TopicName[]): string[] => names.map((name) => `${topics[name].category}-`)
