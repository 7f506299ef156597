import { createRequire } from 'node:module'
import { microsEach, startCpu } from '../cpu.mjs'
import { endOffsets, sum, withAdmin } from '../kafka.mjs'
import { watchGrowth } from '../quiet.mjs'

const require = createRequire(import.meta.url)
const { projections } = require('@annals/projection-service')

/** No slower than this, or something is wrong. */
const eventsPerSecondMin = 300

/**
 * The projector process catches up on the topics, from empty read models: all of them in one lane, as it runs.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ published: number, payments: number }} history
 * @returns {Promise<{ perSecond: number, foldedPerSecond: number, projections: number, cpuMicros: Record<string, number> }>}
 *   `perSecond`: published events over the time until every read model had them; `foldedPerSecond`: each event counted once for every
 *   read model that reads it
 */
export const measureProjection = (scene, history) =>
  scene.step('Projection', async (update) => {
    const measured = await catchUpWith(scene, history, { update })
    return { value: measured, text: `${Math.round(measured.perSecond)}/s, ${measured.projections} read models` }
  })

/**
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ published: number, payments: number }} history
 * @param {{ update: (detail: string) => void, readModels?: number }} options `readModels`: so many are fed, copies among them
 */
export async function catchUpWith(scene, { published, payments }, { update, readModels = projections.length }) {
  const { env, profile, services, signal, withDatabase } = scene
  const ends = await withAdmin(env.KAFKA_BROKERS.split(','), endOffsets)
  const total = sum(Object.values(ends))
  const cpu = startCpu(profile)
  const projector = await services(['projector'], { BENCH_READ_MODELS: String(readModels) })
  try {
    return await withDatabase(env.PROJECTION_DATABASE_URL, async (db) => {
      let isBehind = true
      const { value, first, ms } = await watchGrowth({
        sample: async () => {
          const reached = await reachedBy(db, ends, readModels)
          isBehind = reached.isBehind
          return reached.offsets
        },
        complete: () => !isBehind,
        least: total,
        withinMs: 60_000 + (published / eventsPerSecondMin) * 1_000,
        signal,
        onProgress: (offset) => update(`${Math.min(99, Math.round((offset / total) * 100))} %`),
      })
      const applied = await appliedTo(db, 'payments')
      if (applied !== payments)
        throw new Error(`${payments} events of payments were to be projected; the read model has had ${applied}.`)
      const perSecond = (published * (1 - first / value)) / (ms / 1_000)
      return {
        perSecond,
        foldedPerSecond: perSecond * (readsOf(readModels, ends) / total),
        projections: readModels,
        cpuMicros: microsEach(cpu(), published),
      }
    })
  } finally {
    await projector.stop()
  }
}

/** Offsets that so many read models read, each counted for every one. */
function readsOf(readModels, ends) {
  let reads = 0
  for (let i = 0; i < readModels; i++) {
    const { topics } = projections[i % projections.length]
    for (const [place, end] of Object.entries(ends))
      if (topics.includes(place.slice(0, place.indexOf('/')))) reads += end
  }
  return reads
}

/**
 * @param {import('pg').Client} db @param {Record<string, number>} ends
 * @param {number} readModels that have to be fed
 * @returns {Promise<{ offsets: number, isBehind: boolean }>} offsets that the lane has gone through; whether anything is missing
 */
async function reachedBy(db, ends, readModels) {
  const { rows: places } = await db.query(
    `select count(distinct projection)::integer as made, bool_and(joined) filter (where projection <> 'audit') as joined
     from annals.place`,
  )
  const { rows } = await db.query(
    `select topic || '/' || partition as place, next_offset::float8 as reached from annals.lane_checkpoint`,
  )
  const offsets = rows.reduce((total, { reached }) => total + reached, 0)
  // A partition ends with the marker of its last transaction, behind which no reader goes.
  const isLate = rows.some(({ place, reached }) => reached < (ends[place] ?? 0) - 1)
  return { offsets, isBehind: isLate || places[0].made < readModels || !places[0].joined }
}

/** Events that a read model has seen, by its streams' revisions: a lost one or a double would show. */
async function appliedTo(db, name) {
  const { rows } = await db.query(`select coalesce(sum(revision + 1), 0)::float8 as applied from ${name}.stream`)
  return rows[0].applied
}
