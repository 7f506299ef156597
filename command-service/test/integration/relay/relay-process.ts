import { createTopics } from '@annals/platform/kafka'
import { runRelay } from '../../../src/relay/relay'
import { kafka, log, openLog, publisherFor, routeFor } from './relay-world'

/** A relay as a process of its own, so that it can be killed: `relay-process <category>`. Prints its role when it leads. */
const route = routeFor(process.argv[2]!)
const relay = runRelay({
  route,
  eventLog: openLog(),
  publisher: publisherFor(route),
  topics: createTopics(kafka),
  log,
  signal: new AbortController().signal,
  // Small transactions: more moments at which a kill can hit one.
  limits: { eventsMax: 25, bytesMax: 1_000_000 },
})
const timer = setInterval(() => {
  if (relay.role() !== 'leader') return
  clearInterval(timer)
  process.stdout.write('leader\n')
}, 5)
relay.ended.catch(() => process.exit(1))
