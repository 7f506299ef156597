import { createEventLog } from '@annals/platform/event-log'
import { createTopics } from '@annals/platform/kafka'
import { noWishes } from '../../../src/relay/assess'
import { runRelay } from '../../../src/relay/relay'
import { kafka, log, publisherFor, publisherNamed, routeOver, topicFor } from './relay-world'

/** A relay that fills a topic in small steps, as a process that can be killed: `refill-process <log's url> <category> <category> <topic>`. */
const [url, a, b, topic] = process.argv.slice(2) as [string, string, string, string]
const route = routeOver(`test.relay.${a}`, [topicFor(a), topicFor(b)])
runRelay({
  route,
  eventLog: createEventLog(url, log),
  publisher: publisherFor(route),
  publisherOf: publisherNamed,
  topics: createTopics(kafka),
  log,
  signal: new AbortController().signal,
  wishes: { ...noWishes, refill: [topic] },
  limits: { eventsMax: 5, bytesMax: 1_000_000 },
}).ended.catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
})
