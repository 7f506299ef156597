import { setTimeout as delay } from 'node:timers/promises'
import { shuffled } from './random.mjs'
import { createStarts } from './starting.mjs'

/** Killed processes stay dead this long at most, as under a supervisor that starts them again. */
const deadMsMax = 400
/** Between two kills at most; one comes while others are still starting again, too. */
const pauseMsMax = 1_500
/**
 * Kills wait for commands and for a reader who has seen one, so that each kill hits a system that works on both
 * sides. They do not wait for ever: a kill may have stopped it.
 */
const waitForWorkMsMax = 12_000
/** Kills between two lines about them. */
const tellEvery = 6
/** What a kill costs the run until the first were measured: the load is paced by it. */
const expectedMs = 2_000

/** Rounds in which each target falls once, in an order of their own. @param {string[]} names */
export const planKills = (names, each, random) => Array.from({ length: each }, () => shuffled(names, random)).flat()

/**
 * Kills with SIGKILL at random moments and starts again what it killed, while the load runs. The load is slowed so that it lasts
 * until the last kill.
 *
 * @param {object} options
 * @param {string[]} options.plan names, in order
 * @param {Record<string, { kill: () => Promise<void>, restart: () => Promise<void> }>} options.processes
 * @param {ReturnType<import('./load.mjs').createLoad>} options.load
 * @param {() => number} options.random
 * @param {(text: string) => void} options.say
 * @param {AbortSignal} options.signal
 * @returns {Promise<{ total: number, by: Record<string, number>, underLoad: number, failedStarts: string[] }>} resolves when all
 *   are up again
 * @throws when one does not come up again
 */
export async function runKills({ plan, processes, load, random, say, signal }) {
  const by = {}
  const recovering = new Map()
  const begun = Date.now()
  const { start, failedStarts } = createStarts({
    restart: (name) => processes[name].restart(),
    kill: (name) => processes[name].kill(),
    say,
    signal,
  })
  let underLoad = 0

  async function recover(name) {
    await delay(random() * deadMsMax, undefined, { signal })
    return start(name)
  }
  /** Until the load has come as far as the kills have, and somebody has read what was written since the last one. */
  async function atWork(killed) {
    const deadline = Date.now() + waitForWorkMsMax
    const commands = (0.8 * load.commands * killed) / plan.length
    const reads = load.reads.done + 1
    const working = () => load.done || (load.acknowledged.length >= commands && load.reads.done >= reads)
    while (!working() && Date.now() < deadline) await delay(20, undefined, { signal })
  }
  /** Spreads what is left of the load over what is left of the kills. */
  const slow = (killed) => {
    const eachMs = killed === 0 ? expectedMs : (Date.now() - begun) / killed
    load.setInterval(((plan.length - killed) * eachMs) / Math.max(1, load.left))
  }

  try {
    slow(0)
    for (const [number, name] of plan.entries()) {
      await atWork(number)
      await delay(random() * pauseMsMax, undefined, { signal })
      // It must be up to be killed: the kill before may still be mended.
      await recovering.get(name)
      if (!load.done) underLoad += 1
      await processes[name].kill()
      by[name] = (by[name] ?? 0) + 1
      const recovery = recover(name)
      // Awaited at its next kill, or at the end; a failure before that is not an unhandled one.
      recovery.catch(() => {})
      recovering.set(name, recovery)
      slow(number + 1)
      if ((number + 1) % tellEvery === 0 || number + 1 === plan.length) say(`${number + 1} of ${plan.length} kills`)
    }
    await Promise.all(recovering.values())
  } finally {
    await Promise.allSettled(recovering.values())
  }
  load.setInterval(0)
  return { total: plan.length, by, underLoad, failedStarts }
}
