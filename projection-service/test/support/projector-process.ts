import { z } from 'zod'
import { processFields } from '@annals/platform/config'
import { createPool } from '@annals/platform/postgres'
import { runProcess } from '@annals/platform/process'
import type { Projection } from '../../src/engine/definition/projection'
import { projectionNamed } from '../../src/projections'
import { createProjector } from '../../src/projector/projector'
import { opensNothing } from './facts'
import { nobody } from './read-models'

/** What an instance is told, as JSON in its first argument. */
export interface InstanceOptions {
  projections: string[]
  brokers: string[]
  databaseUrl: string
  /** Stands before the topics and the groups: what a test touches is its own. */
  prefix: string
  /** The instance freezes itself while it folds the beginning of this payment, in the middle of its transaction. */
  freezeAt?: string
}

/** An instance of the projector as a process, so that it can be killed and frozen. Prints what it owns whenever that changes. */
const { projections, brokers, databaseUrl, prefix, freezeAt } = JSON.parse(process.argv[2]!) as InstanceOptions
const env = { LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent', OPERATIONS_PORT: '0' }

/** Once for all read models: each folds the payment, and who wakes must not fall asleep over the next one. */
let hasFrozen = false

/** The same read model, whose fold stops the whole process. */
function freezing(projection: Projection, paymentId: string): Projection {
  const begin = projection.on['payment.created']
  if (!begin) return projection
  const fold: typeof begin = (row, event) => {
    if (!hasFrozen && (event.data as { paymentId: string }).paymentId === paymentId) {
      hasFrozen = true
      process.kill(process.pid, 'SIGSTOP')
    }
    return begin(row, event)
  }
  return { ...projection, on: { ...projection.on, 'payment.created': fold } }
}

void runProcess({ name: 'projector', Config: z.object(processFields(0)), env }, async (context) => {
  const { log, metrics, scope, fatal } = context
  const pool = scope.add('read models', createPool(databaseUrl, log, 4), (it) => it.end())
  const projector = createProjector({
    projections: projections.map((name) => {
      const projection = projectionNamed(name)!
      return freezeAt === undefined ? projection : freezing(projection, freezeAt)
    }),
    brokers,
    pool,
    openAll: opensNothing,
    log,
    metrics,
    observer: nobody,
    onFatal: fatal,
    groupId: `${prefix}lane`,
    topicPrefix: prefix,
  })
  let said = ''
  setInterval(async () => {
    // As /metrics tells it: one series for each partition that this instance owns.
    const series = await metrics.getSingleMetric('annals_consumer_partition_waiting')?.get()
    const owned = (series?.values ?? []).map(({ labels: { topic, partition } }) => `${topic}/${partition}`)
    const line = JSON.stringify(owned.map((place) => place.replaceAll(prefix, '')).toSorted())
    if (line !== said) process.stdout.write(`${line}\n`)
    said = line
  }, 100)
  scope.add('projector', projector, (it) => it.stop())
  await projector.start()
})
