import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { partitionOf } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { createConsumer, createPublisher, createTopics } from '@annals/platform/kafka'
import { requireEnv, uniqueName, type TestScope } from '@annals/platform/testing'
import { runRelay, type RelayOptions } from '../../../src/relay/relay'
import { checkpointTopic, type RoutedTopic, type Route } from '../../../src/relay/route'

export const brokers = requireEnv('KAFKA_BROKERS').split(',')
export const eventStoreUrl = requireEnv('EVENTSTORE_URL')
export const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' })
export const kafka = { brokers, clientId: 'relay-test', log }

/** A route of a test's own: streams, topic, transactional id and checkpoint that nothing else touches. */
export function routeFor(category: string): Route {
  const topic = `test.relay.${category}`
  const prefix = `${category}-`
  return {
    name: topic,
    topics: [{ topic, partitions: 6, prefix }],
    place: (stream) => (stream.startsWith(prefix) ? { topic, partition: partitionOf(stream, 6) } : undefined),
  }
}

/** A route over several topics, under a name of its own. */
export function routeOver(name: string, topics: readonly RoutedTopic[]): Route {
  return {
    name,
    topics,
    place(stream) {
      const found = topics.find(({ prefix }) => stream.startsWith(prefix))
      return found && { topic: found.topic, partition: partitionOf(stream, found.partitions) }
    },
  }
}

export const topicFor = (category: string, topic = `test.relay.${category}`, partitions = 3): RoutedTopic => ({
  topic,
  partitions,
  prefix: `${category}-`,
})

/** A relay inside the test; it looks often, so that nobody waits. @param scope closes it. */
export function startRelay(
  route: Route,
  scope: TestScope,
  more: Partial<RelayOptions> & Pick<RelayOptions, 'eventLog'>,
) {
  const stopping = new AbortController()
  const relay = runRelay({
    route,
    publisher: publisherFor(route),
    publisherOf: publisherNamed,
    topics: createTopics(kafka),
    log,
    signal: stopping.signal,
    patienceMs: 2_000,
    compareEveryMs: 1_000,
    lookEveryMs: 500,
    ...more,
  })
  relay.ended.catch(() => undefined)
  const stop = async () => {
    stopping.abort()
    await relay.ended
  }
  scope.onEnd(() => stop().catch(() => undefined))
  return { ...relay, stop }
}

export const newCategory = () => uniqueName('r').replace('.', '')

export const publisherNamed = (name: string) =>
  createPublisher({ ...kafka, transactionalId: name, checkpoint: { groupId: name, topic: checkpointTopic } })

export const publisherFor = (route: Route) => publisherNamed(route.name)

export const ensureTopics = (route: Route) =>
  createTopics(kafka).ensure([...route.topics, { topic: checkpointTopic, partitions: 1 }], 1)

export interface Written {
  id: string
  stream: string
  revision: number
}

/** Appends events to several streams (their number divides the events), a few at a time; @returns what the log acknowledged, in order per stream. */
export async function fill(eventLog: EventLog, category: string, events: number, streams = 20): Promise<Written[]> {
  const names = Array.from({ length: streams }, () => `${category}-${randomUUID()}`)
  const written: Written[] = []
  const perStream = Math.ceil(events / streams)
  await Promise.all(
    names.map(async (stream) => {
      for (let revision = 0; revision < perStream;) {
        const count = Math.min(5, perStream - revision)
        const batch = Array.from({ length: count }, (_, i) => ({
          id: randomUUID(),
          type: 'relay.tested',
          data: { n: revision + i, note: 'Zoë' },
          metadata: { schemaVersion: 1, tenant: 'test', occurredAt: new Date().toISOString() },
        }))
        await eventLog.append(stream, batch, revision - 1)
        written.push(...batch.map(({ id }, i) => ({ id, stream, revision: revision + i })))
        revision += count
      }
    }),
  )
  return written
}

export const openLog = () => createEventLog(eventStoreUrl, log)

/** Deletes what a test's relays have made, when all of them have ended: called before the first of them is started. */
export function removeTopicsOf(scope: TestScope, ...routes: readonly Route[]): void {
  const names = new Set(routes.flatMap((route) => route.topics.map(({ topic }) => topic)))
  scope.onEnd(() => createTopics(kafka).remove([...names]), 'topics')
}

/** A new route with its topics, and a log. @param scope closes it. */
export async function openRoute(scope: TestScope) {
  const category = newCategory()
  const route = routeFor(category)
  removeTopicsOf(scope, route)
  await ensureTopics(route)
  const eventLog = scope.add(openLog(), (it) => it.close())
  return { category, route, eventLog }
}

/** Reads a route's topics from the beginning, committed transactions only, until it is stopped or the scope ends. */
export async function readTopics(scope: TestScope, route: Route) {
  const seen: Written[] = []
  /** When each of them arrived, by `performance.now()`. */
  const at: number[] = []
  const consumer = createConsumer({
    ...kafka,
    groupId: uniqueName('relay-test'),
    topics: route.topics.map(({ topic }) => topic),
    onFatal: () => undefined,
  })
  // Positions are kept as a service keeps them: a rebalance goes on where it was, and repeats are the relay's own.
  const positions = new Map<string, { nextOffset: bigint; topicId: string }>()
  const keyOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
  scope.onEnd(() => consumer.stop(), 'reader of topics')
  await consumer.run({
    positions: async (assigned) => assigned.map((place) => positions.get(keyOf(place))),
    handle: async (batch) => {
      for (const { key, headers } of batch.records) {
        seen.push({ id: String(headers['ce_id']), stream: key!, revision: Number(String(headers['ce_revision'])) })
        at.push(performance.now())
      }
      positions.set(keyOf(batch), { nextOffset: batch.nextOffset, topicId: batch.topicId })
      return { kind: 'done' }
    },
  })
  return { seen, at, stop: () => consumer.stop() }
}

/** What is wrong with a topic when the log is held beside it: all three have to be empty. */
export function compare(inLog: readonly Written[], onTopic: readonly Written[]) {
  const counts = new Map<string, number>()
  for (const { id } of onTopic) counts.set(id, (counts.get(id) ?? 0) + 1)
  const known = new Set(inLog.map(({ id }) => id))
  const nextRevision = new Map<string, number>()
  const reordered: string[] = []
  for (const { stream, revision } of onTopic) {
    const expected = nextRevision.get(stream) ?? 0
    if (revision !== expected) reordered.push(`${stream}@${revision} where ${expected} was due`)
    nextRevision.set(stream, revision + 1)
  }
  return {
    lost: inLog.filter(({ id }) => !counts.has(id)).length,
    doubled: [...counts.values()].filter((count) => count > 1).length,
    foreign: onTopic.filter(({ id }) => !known.has(id)).length,
    reordered: reordered.slice(0, 5),
  }
}

export const nothingWrong = { lost: 0, doubled: 0, foreign: 0, reordered: [] }
