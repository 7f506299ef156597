import { z } from 'zod'
import { field, processFields, readConfig } from '@annals/platform/config'
import { startOperationsServer } from '@annals/platform/http'
import { exitWithMessage, runProcess } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'
import { createMetrics } from '@annals/platform/metrics'
import { createPool } from '@annals/platform/postgres'
import { createKeyReader } from '@annals/platform/subject-keys'
import { startTracing } from '@annals/platform/tracing'
import { projections } from '../projections'
import { addParkedGauge, createProjectorMetrics } from './metrics'
import { createProjector } from './projector'

const service = 'projector'

const Config = z.object({
  ...processFields,
  HTTP_PORT: field.port(3002),
  KAFKA_BROKERS: field.brokers(),
  PROJECTION_DATABASE_URL: field.url('postgres', 'postgresql'),
  SUBJECT_KEYS_DATABASE_URL: field.url('postgres', 'postgresql'),
  MASTER_KEY: field.key256(),
  /** Connections to the read models: each is one transaction at a time. */
  PROJECTION_DATABASE_CONNECTIONS: field.integer(10, 1, 100),
})

function configuration() {
  try {
    return readConfig(Config, process.env)
  } catch (error) {
    return exitWithMessage(error)
  }
}

const config = configuration()
const log = createLogger(service, config.LOG_LEVEL)

void runProcess(log, async (scope, fatal) => {
  scope.add('tracing', await startTracing(service, config.OTEL_EXPORTER_OTLP_ENDPOINT), (stop) => stop())
  const metrics = createMetrics(service)
  const pool = scope.add(
    'read models',
    createPool(config.PROJECTION_DATABASE_URL, log, config.PROJECTION_DATABASE_CONNECTIONS, {
      application_name: 'annals-projector',
    }),
    (it) => it.end(),
  )
  const keyPool = scope.add('subject keys', createPool(config.SUBJECT_KEYS_DATABASE_URL, log, 2), (it) => it.end())
  const keys = createKeyReader(keyPool, { id: 'master', key: config.MASTER_KEY })
  const projector = createProjector({
    projections,
    brokers: config.KAFKA_BROKERS,
    pool,
    openAll: (parts) => keys.openAll(parts),
    log,
    metrics,
    observerOf: createProjectorMetrics(metrics),
    onFatal: fatal,
  })
  addParkedGauge(metrics, pool, projections)
  let joined = false
  scope.add(
    'operations',
    await startOperationsServer({ host: config.HTTP_HOST, port: config.HTTP_PORT }, metrics, {
      postgres: () => pool.query('select 1'),
      'subject-keys': () => keyPool.query('select 1'),
      kafka: async () => {
        if (!joined) throw new Error('not every group has been joined yet')
      },
    }),
    (app) => app.close(),
  )
  scope.add('projector', projector, (it) => it.stop())
  await projector.start()
  joined = true
})
