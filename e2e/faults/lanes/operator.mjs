import { setTimeout as delay } from 'node:timers/promises'
import { startProgram } from '../../processes.mjs'
import { between } from './moments.mjs'

const program = 'projection-service/dist/replay/main.js'
/** A rollback waits for transactions in hand, and gives up by itself after some twenty seconds. */
const rollbackMsMax = 60_000
/** The killed one's lock is gone at once; a frozen transaction is ended after ten seconds. */
const callsMax = 20
const againMs = 300
const pauseMs = { min: 0, max: 1_500 }
/** So many are rollbacks, where there is something to go back to. */
const rollbackShare = 0.4
const exitCodes = { done: 0, running: 4, busy: 5 }

/**
 * Rebuilds read models, kills some of the rebuilds, and rolls some back, one after the other.
 *
 * @param {object} options
 * @param {Record<string, string>} options.env
 * @param {ReturnType<typeof import('../rebuilds.mjs').createRebuilds>} options.rebuilds
 * @param {string[]} options.models
 * @param {ReturnType<typeof import('./turns.mjs').createTurns>} options.turns
 * @param {{ model?: string }} options.operator told what is being rebuilt
 * @param {number} options.ending epoch ms
 * @param {() => number} options.random
 * @param {(text: string) => void} options.say
 * @param {AbortSignal} options.signal
 * @returns {Promise<{ rollbacks: number, failures: string[] }>} `failures`: of rollbacks
 */
export async function runOperator({ env, rebuilds, models, turns, operator, ending, random, say, signal }) {
  const done = { rollbacks: 0, failures: [] }
  /** Those that were swapped once. */
  const haveFormer = []

  async function rollBack(model) {
    for (let calls = 0; calls < callsMax; calls++) {
      const { code, output } = await startProgram(program, ['rollback', model], env, rollbackMsMax)
      if (code === exitCodes.done) {
        done.rollbacks += 1
        return
      }
      if (code !== exitCodes.running && code !== exitCodes.busy) {
        done.failures.push(`rollback ${model} ended with code ${code}: ${output.trim().slice(-600)}`)
        say(done.failures.at(-1))
        return
      }
      await delay(againMs, undefined, { signal })
    }
    done.failures.push(`rollback ${model} did not get its turn in ${callsMax} calls`)
  }

  async function rebuild(model) {
    operator.model = model
    const before = rebuilds.counts.verifiedEqual
    await rebuilds.rebuildBeforeKills([model], random() < 0.5 ? 1 + Math.floor(random() * 2) : 0)
    if (rebuilds.counts.verifiedEqual > before && !haveFormer.includes(model)) haveFormer.push(model)
    operator.model = undefined
  }

  while (done.rollbacks + done.failures.length === 0 || Date.now() < ending) {
    const goesBack = haveFormer.length > 0 && (done.rollbacks === 0 || random() < rollbackShare)
    const { model, giveBack } = await turns.take(goesBack ? haveFormer : models, random, signal)
    try {
      await (goesBack ? rollBack(model) : rebuild(model))
    } finally {
      giveBack()
    }
    await delay(between(pauseMs, random), undefined, { signal })
  }
  return done
}
