import { readConfig } from '@annals/platform/config'
import { createEventLog } from '@annals/platform/event-log'
import { startOperationsServer } from '@annals/platform/api'
import { createPublisher, createTopics } from '@annals/platform/kafka'
import { exitWithMessage, runProcess } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'
import { createMetrics } from '@annals/platform/metrics'
import { startTracing } from '@annals/platform/tracing'
import { readCommand, RelayConfig } from './options'
import { runRelay } from './relay'
import { createRelayMetrics } from './relay-metrics'
import { checkpointTopic } from './route'

async function main() {
  const command = readCommand(process.argv.slice(2))
  const config = readConfig(RelayConfig, process.env)
  const log = createLogger('relay', config.LOG_LEVEL)
  const { route } = command

  await runProcess(log, async (scope, fatal) => {
    scope.add('tracing', await startTracing('relay', config.OTEL_EXPORTER_OTLP_ENDPOINT), (stop) => stop())
    const eventLog = scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (it) => it.close())
    const kafka = { brokers: config.KAFKA_BROKERS, clientId: 'annals-relay', log }
    const topics = createTopics(kafka)
    const metrics = createMetrics('relay')
    const stopping = new AbortController()

    const publisherOf = (name: string) =>
      createPublisher({ ...kafka, transactionalId: name, checkpoint: { groupId: name, topic: checkpointTopic } })
    const relay = runRelay({
      ...command,
      eventLog,
      publisher: publisherOf(route.name),
      fillerOf: publisherOf,
      topics,
      replicationFactor: config.KAFKA_REPLICATION_FACTOR,
      log,
      metrics: createRelayMetrics(metrics),
      signal: stopping.signal,
    })
    scope.add('relay', relay, async () => {
      stopping.abort()
      await relay.ended.catch(() => undefined)
    })
    const listen = { host: config.HTTP_HOST, port: config.HTTP_PORT }
    const server = await startOperationsServer(listen, metrics, { relay: relay.ready })
    scope.add('operations server', server, (it) => it.close())

    relay.ended.then(
      // Asked to end when everything is published: end as a signal would.
      () => stopping.signal.aborted || process.kill(process.pid, 'SIGTERM'),
      fatal,
    )
  })
}

main().catch(exitWithMessage)
