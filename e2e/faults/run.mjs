import { setMaxListeners } from 'node:events'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root, shown } from '../../dev/profile.mjs'
import { Trouble } from '../../dev/terminal/trouble.mjs'
import { openSystem } from '../system.mjs'
import { createRandom } from './random.mjs'
import { writeReport } from './report.mjs'
import { lanes } from './scenarios/lanes.mjs'
import { processes } from './scenarios/processes.mjs'
import { rebuild } from './scenarios/rebuild.mjs'
import { restores } from './scenarios/restores.mjs'
import { servers } from './scenarios/servers.mjs'
import { silence } from './scenarios/silence.mjs'

/** The logs of the last run in which something went wrong. */
const keptLogs = join(root, '.annals/failed-faults-logs')

/**
 * One way to do harm to a system of its own, and to ask afterwards whether each promise was kept.
 *
 * @typedef {object} Scenario
 * @property {number} runMsMax a run that takes this long has hung
 * @property {Omit<Parameters<typeof openSystem>[1], 'progress' | 'signal'>} [system] what it needs beside the usual
 * @property {(frame: Frame) => Promise<Outcome>} run
 *
 * @typedef {object} Frame what a scenario is handed
 * @property {Awaited<ReturnType<typeof openSystem>>} system running, with nothing in it
 * @property {import('./options.mjs').Options} options
 * @property {() => number} random in [0, 1), from the seed
 * @property {(text: string) => void} say one line of progress, with the time
 * @property {AbortSignal} signal aborts at an interrupt, at the scenario's own failure and after `runMsMax`
 * @property {(reason: unknown) => void} fail aborts the signal: what goes on side by side ends together
 * @property {() => number} seconds since the scenario began, one decimal
 *
 * @typedef {object} Outcome
 * @property {Record<string, unknown>} report what `--json` writes
 * @property {boolean} passed
 * @property {string} verdict one sentence for people
 * @property {boolean} worthReading the logs of this run
 */

/** By what `--only` calls them, in the order in which they run. @type {Record<string, Scenario>} */
const scenarios = { processes, rebuild, lanes, servers, restores, silence }

/**
 * The fault run: one scenario after the other, each from nothing to its verdict.
 *
 * @param {string} profileName
 * @param {import('./options.mjs').Options} options
 * @param {Lifetime} lifetime
 * @returns {Promise<number>} exit code: 0 when every promise was kept in all of them
 *
 * @typedef {{ progress: import('../../dev/terminal/progress.mjs').Progress, signal: AbortSignal,
 *   onEnd: (stop: () => Promise<void>) => void }} Lifetime
 */
export async function runFaults(profileName, options, lifetime) {
  const reports = {}
  let kept = true
  for (const name of options.only) {
    if (options.only.length > 1) console.log(`\nScenario: ${name}`)
    const { report, passed } = await runScenario(scenarios[name], profileName, options, lifetime)
    reports[name] = report
    kept &&= passed
    if (options.json) writeReport(options.json, options.only.length === 1 ? report : reports)
  }
  return kept ? 0 : 1
}

async function runScenario(scenario, profileName, options, { progress, signal: interrupted, onEnd }) {
  const begun = Date.now()
  const failing = new AbortController()
  const signal = AbortSignal.any([interrupted, failing.signal])
  // Every client and every kill waits on it.
  setMaxListeners(100, signal)
  const tooLong = new Trouble(`The run was not over after ${scenario.runMsMax / 60_000} minutes.`)
  const limit = setTimeout(() => failing.abort(tooLong), scenario.runMsMax)
  const system = await openSystem(profileName, { ...scenario.system, progress, signal })
  let worthReading = true
  let closed = false
  const close = async () => {
    if (closed) return
    closed = true
    clearTimeout(limit)
    const { profile } = system.stack
    await system.close({ keep: true })
    if (worthReading) {
      rmSync(keptLogs, { recursive: true, force: true })
      cpSync(profile.logs, keptLogs, { recursive: true })
      console.log(`The logs of this run: ${shown(keptLogs)}`)
    }
    if (options.keep) console.log(`Its data: ${shown(profile.dir)}`)
    else rmSync(profile.dir, { recursive: true, force: true })
  }
  // What is interrupted or throws ends there; what comes to its end makes room for the next one.
  onEnd(close)
  const outcome = await scenario.run({
    system,
    options,
    random: createRandom(options.seed),
    say: (text) => console.log(`  ${String(Math.round((Date.now() - begun) / 1000)).padStart(4)} s  ${text}`),
    signal,
    fail: (reason) => failing.abort(reason),
    seconds: () => secondsSince(begun),
  })
  worthReading = outcome.worthReading
  await close()
  console.log(outcome.verdict)
  return outcome
}

/** @param {number} moment epoch ms @returns {number} one decimal */
const secondsSince = (moment) => Math.round((Date.now() - moment) / 100) / 10
