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
  /** The relay of all topics whose work this route does a part of, with the topics of each route; `undefined`: it is whole. */
  part?: { of: Route; routes: readonly (readonly string[])[] }
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
export const fillerName = ({ name, part }: Route, topic: string): string => `${part?.of.name ?? name}.${topic}`

/** The name of a route that has some topics of another one. No filler has a name of this form. */
export const partName = (of: Pick<Route, 'name'>, topics: readonly string[]): string => `${of.name}/${topics.join('+')}`

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

/** In one order, so that the same division always is the same text. */
const sorted = (routes: readonly (readonly string[])[]) =>
  routes.map((topics) => topics.toSorted()).toSorted((a, b) => (a.join() < b.join() ? -1 : 1))

/** As an operator writes it: topics with commas, routes with semicolons. */
export const routesText = (routes: readonly (readonly string[])[]): string =>
  routes.map((topics) => topics.join(',')).join(';')

/**
 * Divides the work of a relay.
 * @param text topics with commas between them, routes with semicolons: `annals.payments;annals.users,annals.sessions`. Empty:
 *   one route of all topics.
 * @returns the routes; only the whole one where there is no more.
 * @throws RouteError when a topic is left out, given twice or not known.
 */
export function divide(whole: Route, text: string): Route[] {
  if (text.trim() === '') return [whole]
  const routes = sorted(text.split(';').map((topics) => topics.split(',').map((topic) => topic.trim())))
  const given = routes.flat()
  const known = whole.topics.map(({ topic }) => topic)
  if (given.includes('')) throw new RouteError(`"${text}" has a route or topic without a name.`)
  const foreign = given.find((topic) => !known.includes(topic))
  if (foreign !== undefined)
    throw new RouteError(`"${foreign}" is no topic that is published: expected ${known.join(', ')}.`)
  const doubled = known.find((topic) => given.indexOf(topic) !== given.lastIndexOf(topic))
  if (doubled !== undefined)
    throw new RouteError(
      `${doubled} is given twice: two relays would publish each of its events. Give it to one route.`,
    )
  const missing = known.filter((topic) => !given.includes(topic))
  if (missing.length > 0)
    throw new RouteError(`${missing.join(', ')} is in no route: nobody would publish it. Give each topic to one route.`)
  if (routes.length === 1) return [whole]
  return routes.map((names) => ({
    name: partName(whole, names),
    topics: whole.topics.filter(({ topic }) => names.includes(topic)),
    part: { of: whole, routes },
    place(stream) {
      const found = whole.place(stream)
      return found && names.includes(found.topic) ? found : undefined
    },
  }))
}

/**
 * The route that a relay takes.
 * @param topic one that is in it; `undefined`: there is only one.
 * @throws RouteError
 */
export function routeWith(routes: readonly Route[], topic: string | undefined): Route {
  const [first, ...others] = routes
  if (topic === undefined) {
    if (others.length === 0) return first!
    const names = routes.map((route) => route.topics[0]!.topic).join(' or ')
    throw new RouteError(`there are ${routes.length} routes, and each relay takes one: set RELAY_ROUTE to ${names}.`)
  }
  const found = routes.find((route) => route.topics.some((spec) => spec.topic === topic))
  if (!found) throw new RouteError(`no route has the topic "${topic}".`)
  return found
}
