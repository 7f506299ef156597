import { catchUpWith } from './projection.mjs'
import { loadVisible } from './visible.mjs'

/** Read models in a lane; those beyond a release's own are copies under other names. */
const sizes = [6, 12, 24]
/** Those of which the cost of a command is measured as well. */
const [few, many] = [6, 24]
const forMs = 20_000

/**
 * What a read model costs beside others in its lane: catching up, and at 100 commands a second.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ published: number, payments: number }} history
 * @returns {Promise<Record<string, any>>} by number of read models; `ratio24over6` of their rates, `cpuRatio24over6` of the CPU time of
 *   projector and PostgreSQL for each command
 */
export async function measureLanes(scene, history) {
  const measured = {}
  const commandMicros = {}
  const more = await seenBeyond(scene, history)
  for (const size of sizes) {
    await scene.forgetReadModels()
    measured[size] = await scene.step(`A lane of ${size}`, async (update) => {
      const value = await catchUpWith(scene, more, { update, readModels: size })
      return { value, text: `${Math.round(value.perSecond)}/s` }
    })
    if (size !== few && size !== many) continue
    const { cpuMicros, p99Ms } = await scene.step(`A lane of ${size} at 100/s`, async (update) => {
      const value = await loadVisible(scene, {
        perSecond: 100,
        forMs,
        update,
        env: { BENCH_READ_MODELS: String(size) },
      })
      return { value, text: `p99 ${Math.round(value.p99Ms)} ms` }
    })
    measured[size].commandCpuMicros = cpuMicros
    measured[size].p99Ms = p99Ms
    commandMicros[size] = (cpuMicros.projector ?? 0) + (cpuMicros.postgres ?? 0)
    Object.assign(more, await seenBeyond(scene, history))
  }
  return {
    ...measured,
    ratio24over6: measured[many].perSecond / measured[few].perSecond,
    cpuRatio24over6: commandMicros[many] / commandMicros[few],
  }
}

/** What the topics hold by now: the load of a part before adds to the history. */
async function seenBeyond({ env, withDatabase }, history) {
  const { published, payments } = history
  const counted = await withDatabase(env.PROJECTION_DATABASE_URL, async (db) => {
    const { rows } = await db.query(
      `select coalesce(sum(revision + 1), 0)::float8 as published,
         coalesce(sum(revision + 1) filter (where starts_with(stream, 'payment-')), 0)::float8 as payments from annals.stream`,
    )
    return rows[0]
  })
  return counted.published > published ? counted : { published, payments }
}
