import { createRequire } from 'node:module'
import { microsEach, startCpu } from '../cpu.mjs'
import { endOffsets, sum, withAdmin } from '../kafka.mjs'
import { watchGrowth } from '../quiet.mjs'

const require = createRequire(import.meta.url)
const { projections } = require('@annals/projection-service')

/** No slower than this, or something is wrong. */
const eventsPerSecondMin = 300

/**
 * The projector process catches up on the topics, from empty read models: every read model at once, as it runs.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ published: number, payments: number }} history
 * @returns {Promise<{ perSecond: number, paymentsPerSecond: number, foldedPerSecond: number }>} `perSecond`: published events
 *   over the time until every read model had them; `paymentsPerSecond`: those of payments over the time until the read model
 *   `payments` had them, beside all others; `foldedPerSecond`: each event counted once for every read model that reads it
 */
export async function measureProjection(scene, { published, payments }) {
  const { env, profile, services, signal, step, withDatabase } = scene
  const ends = await withAdmin(env.KAFKA_BROKERS.split(','), endOffsets)
  const total = sum(projections.map((projection) => endOf(projection, ends)))
  const cpu = startCpu(profile)
  const projector = await services(['projector'])
  try {
    return await withDatabase(env.PROJECTION_DATABASE_URL, (db) =>
      step('Projection', async (update) => {
        let paymentsAt
        let begunAt
        let behind
        const { value, first, ms } = await watchGrowth({
          sample: async () => {
            const at = performance.now()
            const reached = await reachedBy(db, ends)
            behind = reached.behind
            if (reached.offsets > 0) begunAt ??= at
            if (!behind.has('payments')) paymentsAt ??= at
            return reached.offsets
          },
          complete: () => behind.size === 0,
          least: total,
          withinMs: 60_000 + (published / eventsPerSecondMin) * 1_000,
          signal,
          onProgress: (offset) => update(`${Math.min(99, Math.round((offset / total) * 100))} %`),
        })
        const applied = await appliedTo(db, 'payments')
        if (applied !== payments)
          throw new Error(`${payments} events of payments were to be projected; the read model has had ${applied}.`)
        const share = (1 - first / value) / (ms / 1_000)
        const measured = {
          perSecond: published * share,
          paymentsPerSecond: payments / ((paymentsAt - begunAt) / 1_000),
          foldedPerSecond: (value - first) / (ms / 1_000),
          projections: projections.length,
          cpuMicros: microsEach(cpu(), published),
        }
        return { value: measured, text: `${Math.round(measured.perSecond)}/s, ${projections.length} read models` }
      }),
    )
  } finally {
    await projector.stop()
  }
}

const endOf = ({ topics }, ends) =>
  sum(Object.entries(ends).map(([place, end]) => (topics.includes(place.slice(0, place.indexOf('/'))) ? end : 0)))

/**
 * @param {import('pg').Client} db @param {Record<string, number>} ends
 * @returns {Promise<{ offsets: number, behind: Set<string> }>} offsets gone through, added up over read models and partitions;
 *   `behind`: read models that have not had all
 */
async function reachedBy(db, ends) {
  const names = projections.map(({ name }) => name)
  const { rows: made } = await db.query('select from annals.projection where name = any($1)', [names])
  if (made.length < names.length) return { offsets: 0, behind: new Set(names) }
  const checkpoints = names.map(
    (name) =>
      `select '${name}' as name, topic || '/' || partition as place, next_offset::float8 as reached from ${name}.checkpoint`,
  )
  const { rows } = await db.query(checkpoints.join(' union all '))
  // A partition ends with the marker of its last transaction, behind which no reader goes.
  const late = rows.filter(({ place, reached }) => reached < (ends[place] ?? 0) - 1)
  return {
    offsets: rows.reduce((total, { reached }) => total + reached, 0),
    behind: new Set(late.map(({ name }) => name)),
  }
}

/** Events that a read model has seen, by its streams' revisions: a lost one or a double would show. */
async function appliedTo(db, name) {
  const { rows } = await db.query(`select coalesce(sum(revision + 1), 0)::float8 as applied from ${name}.stream`)
  return rows[0].applied
}
