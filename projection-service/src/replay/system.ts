import { kafkaConnection } from '@annals/platform/kafka'
import { z } from 'zod'
import { field, kafkaFields } from '@annals/platform/config'
import { createEventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import { createPool } from '@annals/platform/postgres'
import { runOnce, type Scope } from '@annals/platform/process'
import { createKeyReader, masterKeysOf } from '@annals/platform/subject-keys'
import { environment } from './environment'
import { paceOf, type Pace } from './fold/pace'
import { createThreadedReader } from './source/threaded-reader'

const Config = z.object({
  EVENTSTORE_URL: field.url('esdb', 'esdb+discover'),
  PROJECTION_DATABASE_URL: field.url('postgres', 'postgresql'),
  SUBJECT_KEYS_DATABASE_URL: field.url('postgres', 'postgresql'),
  MASTER_KEY: field.keys256(),
  /** Only for `--source kafka`. */
  ...kafkaFields,
  KAFKA_BROKERS: field.brokers().optional(),
  /** Warnings and errors only: the CLI speaks to people on standard output. */
  LOG_LEVEL: field.logLevel().transform((level) => (level === 'info' ? 'warn' : level)),
})

/** Two connections for each rebuild (its lock, its writes), and some for reading beside. */
const connections = (count: number) => 4 + 3 * count

/** For PostgreSQL: no statement gets more than one process. */
const oneProcess = '-c max_parallel_workers_per_gather=0 -c max_parallel_maintenance_workers=0'

/**
 * Opens what a command needs, runs it, closes everything.
 * @param count of the projections it works on at once.
 */
export async function withSystem<T>(
  count: number,
  work: (system: System) => Promise<T>,
  pace = paceOf(undefined),
): Promise<T> {
  return runOnce({ name: 'replay', Config, env: environment() }, ({ config, log, scope }) =>
    work(openSystem(config, log, scope, count, pace)),
  )
}

export type System = ReturnType<typeof openSystem>

function openSystem(config: z.infer<typeof Config>, logger: Logger, scope: Scope, count: number, pace: Pace) {
  const settings = { application_name: 'annals-replay', ...(pace.parallel ? {} : { options: oneProcess }) }
  const pool = scope.add(
    'read models',
    createPool(config.PROJECTION_DATABASE_URL, logger, connections(count), settings),
    (it) => it.end(),
  )
  const keyPool = scope.add('subject keys', createPool(config.SUBJECT_KEYS_DATABASE_URL, logger, 2), (it) => it.end())
  const keys = createKeyReader(keyPool, masterKeysOf(config.MASTER_KEY))
  const opened = scope.add('log', createEventLog(config.EVENTSTORE_URL, logger), (it) => it.close())
  const { readSize, readAhead } = pace
  const settingsOfReader = { url: config.EVENTSTORE_URL, logLevel: config.LOG_LEVEL, readSize, readAhead }
  const reader = scope.add('reading thread', createThreadedReader(settingsOfReader), (it) => it.close())
  const log = { ...opened, readAll: reader.readAll }
  const openAll: typeof keys.openAll = (parts) => keys.openAll(parts)
  const { KAFKA_BROKERS: brokers } = config
  const kafka = brokers && kafkaConnection({ ...config, KAFKA_BROKERS: brokers })
  return { pool, log, logger, openAll, kafka }
}
