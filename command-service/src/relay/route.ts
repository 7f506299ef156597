import { partitionOf, placeOf, topicNames, topics, type TopicName } from '@annals/contracts'
import type { TopicPartition, TopicSpec } from '@annals/platform/kafka'

/** A topic, and the streams that go there. */
export interface RoutedTopic extends TopicSpec {
  /** Of the streams' names. */
  prefix: string
}

/** What is published where, and under which name. */
export interface Route {
  /** Names the transactional id and the group that holds the checkpoint: one of each for a route, for ever. */
  name: string
  topics: readonly RoutedTopic[]
  /** `undefined`: this stream is not published. */
  place(stream: string): TopicPartition | undefined
}

/** Offsets of this topic are checkpoints: log position + 1. It holds no records; a group's offset needs a topic to stand on. */
export const checkpointTopic = 'annals.relay.checkpoints'

/** Everything that the published language names. */
export const mainRoute: Route = {
  name: 'annals.relay',
  topics: topicNames.map((topic) => ({
    topic,
    partitions: topics[topic].partitions,
    prefix: `${topics[topic].category}-`,
  })),
  place: placeOf,
}

export const prefixesOf = ({ topics: all }: Pick<Route, 'topics'>): string[] => all.map(({ prefix }) => prefix)

/** The name under which a topic is filled before a route names it: what `versionRoute` gives it. */
export const fillerName = (route: Route, topic: string): string => `${route.name}.${topic}`

/** The command line asks for something that can not be. */
export class RouteError extends Error {
  override readonly name = 'RouteError'
}

const version = /^(.+?)(?:\.v([1-9]\d{0,5}))?$/
const baseOf = (topic: string): string => version.exec(topic)![1]!

/**
 * One category into a new version of its topic, beside what the main relay publishes.
 * @param topic a topic of the published language with `.v` and a number behind it, such as `annals.payments.v2`.
 * @param partitions of the new topic; the reason for which there mostly is one.
 * @throws RouteError
 */
export function versionRoute(topic: string, partitions?: number): Route {
  const [, base, number] = version.exec(topic) ?? []
  const present = topicNames.find((name) => baseOf(name) === base)
  if (number === undefined || !present)
    throw new RouteError(
      `"${topic}" is no version of a topic: expected ${topicNames.map((name) => `${baseOf(name)}.v2`).join(', ')} or a later number.`,
    )
  if (Object.hasOwn(topics, topic))
    throw new RouteError(`"${topic}" is what the main relay publishes into: it needs no other, and must not have one.`)
  const { category, partitions: standard } = topics[present satisfies TopicName]
  const count = partitions ?? standard
  const prefix = `${category}-`
  return {
    name: fillerName(mainRoute, topic),
    topics: [{ topic, partitions: count, prefix }],
    place: (stream) => (stream.startsWith(prefix) ? { topic, partition: partitionOf(stream, count) } : undefined),
  }
}
