import { createTopics } from '@annals/platform/kafka'
import { changeRoutes } from '../../../src/relay/change-routes'
import { runRelay } from '../../../src/relay/relay'
import { divide, routeWith } from '../../../src/relay/route'
import { kafka, log, openLog, publisherFor, publisherNamed, routeOver, topicFor } from './relay-world'

/**
 * What a test of routes kills: `routes-process <name> <categories> change <routes>` divides the work, and ends;
 * `… relay <routes> <topic>` is the relay of one route. Says `begun` when it begins.
 */
const [name, categories, task, routes, topic] = process.argv.slice(2) as [string, string, string, string, string?]
const whole = routeOver(
  name,
  categories.split(',').map((category) => topicFor(category)),
)
const divided = divide(whole, routes)
const cluster = { publisherOf: publisherNamed, topics: createTopics(kafka), replicationFactor: 1, log }

async function relay(): Promise<void> {
  const route = routeWith(divided, topic)
  await runRelay({
    ...cluster,
    route,
    eventLog: openLog(),
    publisher: publisherFor(route),
    signal: new AbortController().signal,
    lookEveryMs: 300,
    // Small transactions: more moments at which a kill can hit one.
    limits: { eventsMax: 25, bytesMax: 1_000_000 },
  }).ended
}

process.stdout.write('begun\n')
void (task === 'change' ? changeRoutes({ ...cluster, whole, routes: divided }) : relay()).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  },
)
