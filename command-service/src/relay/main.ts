import { createEventLog } from '@annals/platform/event-log'
import { createPublisher, createTopics, kafkaConnection } from '@annals/platform/kafka'
import { runProcess } from '@annals/platform/process'
import { changeRoutes } from './change-routes'
import { readCommand, RelayConfig, routeOf } from './options'
import { runRelay } from './relay'
import { createRelayMetrics } from './relay-metrics'
import { checkpointTopic, divide, mainRoute } from './route'

const command = readCommand(process.argv.slice(2))

void runProcess({ name: 'relay', Config: RelayConfig, env: process.env }, async (context) => {
  const { config, log, metrics, scope, ready, fatal, finish } = context
  const kafka = { ...kafkaConnection(config), clientId: 'annals-relay', log }
  const publisherOf = (name: string) =>
    createPublisher({ ...kafka, transactionalId: name, checkpoint: { groupId: name, topic: checkpointTopic } })
  const cluster = { publisherOf, topics: createTopics(kafka), replicationFactor: config.KAFKA_REPLICATION_FACTOR, log }
  if (command.changeRoutes) {
    await changeRoutes({ ...cluster, whole: mainRoute, routes: divide(mainRoute, config.RELAY_ROUTES) })
    return finish()
  }
  const route = routeOf(command, config)
  const eventLog = scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (it) => it.close())
  const stopping = new AbortController()
  const { untilCaughtUp, wishes } = command
  const relay = runRelay({
    ...cluster,
    route,
    untilCaughtUp,
    wishes,
    eventLog,
    publisher: publisherOf(route.name),
    metrics: createRelayMetrics(metrics, route.name),
    signal: stopping.signal,
  })
  scope.add('relay', relay, async () => {
    stopping.abort()
    await relay.ended.catch(() => undefined)
  })
  ready({ relay: relay.ready })
  // It ends by itself when it was asked to publish what there is, and no more.
  relay.ended.then(finish, fatal)
})
