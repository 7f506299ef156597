import { createTopics } from '@annals/platform/kafka'
import { startTracing } from '@annals/platform/tracing'
import { runRelay } from '../../../src/relay/relay'
import { kafka, log, openLog, publisherFor, publisherNamed, routeFor } from './relay-world'

/**
 * A relay as a process of its own, so that it can be killed: `relay-process <category>`. Prints each role that it takes on,
 * `leader` or `standby`, a line each; ends in order on SIGTERM. With OTEL_EXPORTER_OTLP_ENDPOINT it sends spans there.
 */
const tracing = startTracing('relay', process.env['OTEL_EXPORTER_OTLP_ENDPOINT'])
const route = routeFor(process.argv[2]!)
const stopping = new AbortController()
const relay = runRelay({
  route,
  eventLog: openLog(),
  publisher: publisherFor(route),
  publisherOf: publisherNamed,
  topics: createTopics(kafka),
  log,
  signal: stopping.signal,
  // Small transactions: more moments at which a kill can hit one.
  limits: { eventsMax: 25, bytesMax: 1_000_000 },
})
let said = ''
setInterval(() => {
  const role = relay.role()
  if (role !== said && role !== 'starting') process.stdout.write(`${role}\n`)
  said = role
}, 5)
process.once('SIGTERM', () => stopping.abort())
relay.ended.then(
  async () => {
    await (
      await tracing
    )()
    process.exit(0)
  },
  () => process.exit(1),
)
