import { kafkaConnection } from '@annals/platform/kafka'
import { createEventLog } from '@annals/platform/event-log'
import { createHealer } from '@annals/platform/healing'
import { createPool } from '@annals/platform/postgres'
import { runProcess } from '@annals/platform/process'
import { createKeyReader, masterKeysOf, missingKeysCounter } from '@annals/platform/subject-keys'
import { createDriftChecker } from '../drift/checker'
import { watchLog } from './log-state'
import {
  addLogRefusedGauge,
  addPlaceGauges,
  addParkedGauges,
  createDriftMetrics,
  createHealingMetrics,
  createProjectorMetrics,
} from './metrics'
import { ProjectorConfig } from './options'
import { createProjector } from './projector'
import { addRebuildMetrics } from './rebuild-metrics'

void runProcess({ name: 'projector', Config: ProjectorConfig, env: process.env }, async (context) => {
  const { config, log, metrics, scope, ready, fatal } = context
  const projections = config.PROJECTIONS
  const pool = scope.add(
    'read models',
    createPool(config.PROJECTION_DATABASE_URL, log, config.PROJECTION_DATABASE_CONNECTIONS, {
      application_name: 'annals-projector',
    }),
    (it) => it.end(),
  )
  const keyPool = scope.add('subject keys', createPool(config.SUBJECT_KEYS_DATABASE_URL, log, 2), (it) => it.end())
  const missingKeys = missingKeysCounter(metrics)
  const onMissing = () => missingKeys.inc()
  const keys = createKeyReader(keyPool, masterKeysOf(config.MASTER_KEY), { onMissing })
  const openAll: typeof keys.openAll = (parts) => keys.openAll(parts)
  const eventLog =
    config.EVENTSTORE_URL && scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (it) => it.close())
  if (!eventLog)
    log.warn(
      'EVENTSTORE_URL is not set: a hole stops its partition, a read model that has left the lane can not catch up, drift is not checked, ' +
        'and a log that went back is not noticed',
    )
  const onHealing = createHealingMetrics(metrics)
  const logWatch = eventLog ? watchLog(projections, { pool, eventLog, log }) : undefined
  addLogRefusedGauge(metrics, () => logWatch?.refusal())
  const projector = createProjector({
    projections,
    ...kafkaConnection(config),
    pool,
    openAll,
    healer: eventLog ? createHealer({ eventLog, log, onOutcome: onHealing }) : undefined,
    eventLog: eventLog || undefined,
    logWatch,
    log,
    metrics,
    observer: createProjectorMetrics(metrics, projections),
    onFatal: fatal,
  })
  addParkedGauges(metrics, pool, projections)
  addPlaceGauges(metrics, pool, projections)
  addRebuildMetrics(metrics, pool, projections, log)
  ready({
    postgres: () => pool.query('select 1'),
    'subject-keys': () => keyPool.query('select 1'),
    kafka: () => projector.check(),
  })
  scope.add('projector', projector, (it) => it.stop())
  await projector.start()
  if (eventLog && config.DRIFT_CHECK_INTERVAL_SECONDS > 0) {
    const observer = createDriftMetrics(metrics, projections)
    const checker = createDriftChecker(projections, { pool, log: eventLog, openAll, logger: log, observer })
    scope.add('drift checker', checker, (it) => it.stop())
    checker.start(config.DRIFT_CHECK_INTERVAL_SECONDS * 1_000)
  }
})
