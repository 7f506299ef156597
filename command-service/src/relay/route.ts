import { partitionOf, placeOf, publishedPrefixes, topicNames, topics, type TopicName } from '@annals/contracts'
import type { TopicPartition, TopicSpec } from '@annals/platform/kafka'

/** What is published where, and under which name. */
export interface Route {
  /** Names the transactional id and the group that holds the checkpoint: one of each for a route, for ever. */
  name: string
  /** Stream-name prefixes of what is published. */
  prefixes: readonly string[]
  topics: readonly TopicSpec[]
  /** `undefined`: this stream is not published. */
  place(stream: string): TopicPartition | undefined
}

/** Offsets of this topic are checkpoints: log position + 1. It holds no records; a group's offset needs a topic to stand on. */
export const checkpointTopic = 'annals.relay.checkpoints'

/** Everything that the published language names. */
export const mainRoute: Route = {
  name: 'annals.relay',
  prefixes: publishedPrefixes,
  topics: topicNames.map((topic) => ({ topic, partitions: topics[topic].partitions })),
  place: placeOf,
}

/** The command line asks for something that can not be. */
export class RouteError extends Error {
  override readonly name = 'RouteError'
}

/**
 * One category into a new version of its topic, beside what the main relay publishes.
 * @param topic a topic of the published language with `.v` and a number behind it, such as `annals.payments.v2`.
 * @param partitions of the new topic; the reason for which there mostly is one.
 * @throws RouteError
 */
export function versionRoute(topic: string, partitions?: number): Route {
  const [, base] = /^(.+)\.v[1-9]\d{0,5}$/.exec(topic) ?? []
  if (!base || !Object.hasOwn(topics, base))
    throw new RouteError(
      `"${topic}" is no version of a topic: expected ${topicNames.map((name) => `${name}.v2`).join(', ')} or a later number.`,
    )
  const { category, partitions: standard } = topics[base as TopicName]
  const count = partitions ?? standard
  const prefix = `${category}-`
  return {
    name: `annals.relay.${topic}`,
    prefixes: [prefix],
    topics: [{ topic, partitions: count }],
    place: (stream) => (stream.startsWith(prefix) ? { topic, partition: partitionOf(stream, count) } : undefined),
  }
}
