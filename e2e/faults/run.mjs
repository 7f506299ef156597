import { setMaxListeners } from 'node:events'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root, shown } from '../../dev/profile.mjs'
import { Trouble } from '../../dev/trouble.mjs'
import { openSystem } from '../system.mjs'
import { breaks } from './breaks.mjs'
import { drain, inspect } from './inspection.mjs'
import { planKills, runKills } from './kills.mjs'
import { createLoad } from './load.mjs'
import { promises, targets } from './options.mjs'
import { createRandom } from './random.mjs'
import { printReport, reportOf, writeReport } from './report.mjs'

/** Ten times six kills take some minutes on two idle cores; a run that takes this long has hung. */
const runMsMax = 20 * 60_000
const sayEveryMs = 10_000
/** The logs of the last run in which something went wrong. */
const keptLogs = join(root, '.annals/failed-faults-logs')

/** Everybody here comes from one address and insists; the throttle of logins has tests of its own. */
const oneHouse = { LOGIN_ATTEMPTS_PER_IP: '100000', LOGIN_ATTEMPTS_PER_ADDRESS: '1000' }

const verdicts = {
  kept: 'Every promise was kept.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept.',
}

/**
 * One fault run, from nothing to its verdict.
 *
 * @param {string} profileName
 * @param {import('./options.mjs').Options} options
 * @param {{ progress: import('../../dev/progress.mjs').Progress, signal: AbortSignal,
 *   onEnd: (stop: () => Promise<void>) => void }} lifetime
 * @returns {Promise<number>} exit code: 0 when every promise was kept
 */
export async function runFaults(profileName, options, { progress, signal: interrupted, onEnd }) {
  const begun = Date.now()
  const say = (text) => console.log(`  ${String(Math.round((Date.now() - begun) / 1000)).padStart(4)} s  ${text}`)
  /** Load and kills end together when one of them fails. */
  const failing = new AbortController()
  const signal = AbortSignal.any([interrupted, failing.signal])
  const tooLong = new Trouble(`The run was not over after ${runMsMax / 60_000} minutes.`)
  setTimeout(() => failing.abort(tooLong), runMsMax).unref()
  // Every client and every kill waits on it.
  setMaxListeners(100, signal)
  const random = createRandom(options.seed)
  const system = await openSystem(profileName, { env: oneHouse, progress, signal })
  const { env, stack, services } = system
  let worthReading = true
  onEnd(async () => {
    await system.close({ keep: true })
    rmSync(keptLogs, { recursive: true, force: true })
    if (worthReading) cpSync(stack.profile.logs, keptLogs, { recursive: true })
    if (worthReading) console.log(`The logs of this run: ${shown(keptLogs)}`)
    if (options.keep) console.log(`Its data: ${shown(stack.profile.dir)}`)
    else rmSync(stack.profile.dir, { recursive: true, force: true })
  })
  const load = createLoad({ urls: services.urls, commands: options.commands, random, signal })
  say(
    `${options.commands} commands, ${options.kills} kills of each of ${options.only.join(', ')}; seed ${options.seed}`,
  )

  const kills = await underFire({
    load,
    processes: processesOf(stack, services),
    options,
    random,
    signal,
    failing,
    say,
  })
  say('everything is up again; what was accepted has to arrive')
  const drainedFrom = Date.now()
  let inspection = await drain(() => inspect(env, load), { say, signal })
  const facts = { seed: options.seed, drainSeconds: secondsSince(drainedFrom) }

  const whole = inspection.findings.none
  const names = options.selfCheck ? promises : options.breaks
  const broken = await breakOn(names, inspection, { env, load, services, say })
  inspection = broken.inspection

  const report = reportOf({
    inspection,
    kills,
    load,
    facts: {
      ...facts,
      seconds: secondsSince(begun),
      broken: names,
      wholeBeforeBreaking: whole,
      allBreaksNoticed: broken.noticed,
    },
  })
  printReport(report)
  if (options.json) writeReport(options.json, report)
  // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
  const passed = options.selfCheck ? whole && broken.noticed : inspection.findings.none
  // A process that did not come up at once is worth reading about, although it came up in the end.
  worthReading = (!passed && names.length === 0) || kills.failedStarts.length > 0
  console.log(passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken)
  return passed ? 0 : 1
}

/** Breaks promises, one after the other; each has to raise what it should raise. */
async function breakOn(names, inspection, { env, load, services, say }) {
  let [latest, noticed] = [inspection, true]
  for (const name of names) {
    const { says, expects, apply } = breaks[name]
    const { kind, place } = expects
    const before = latest.findings.count(kind, place)
    say(`breaking a promise: ${says}`)
    await apply({ env, load, services, events: latest.events })
    latest = await inspect(env, load)
    const found = latest.findings.count(kind, place) - before
    say(found > 0 ? `  noticed: ${found} ${kind} in ${place}` : `  NOT NOTICED: nothing ${kind} in ${place}`)
    noticed &&= found > 0
  }
  return { inspection: latest, noticed }
}

/** Runs load and kills side by side; when one fails, the other ends too. */
async function underFire({ load, processes, options, random, signal, failing, say }) {
  const telling = setInterval(
    () =>
      say(`${load.acknowledged.length} commands acknowledged, ${load.counts.unanswered} requests without an answer`),
    sayEveryMs,
  )
  const plan = planKills(options.only, options.kills, random)
  try {
    const works = [runKills({ plan, processes, load, random, say, signal }), load.run()]
    for (const work of works) work.catch((error) => failing.abort(error))
    // Both, even after a failure: what is being started has to be there when everything is stopped.
    const [killing] = await Promise.allSettled(works)
    signal.throwIfAborted()
    const kills = killing.value
    say(`${load.acknowledged.length} commands acknowledged`)
    return kills
  } finally {
    clearInterval(telling)
  }
}

/** Services and servers alike, by name. */
function processesOf(stack, services) {
  const owners = [...targets.services.map((name) => [name, services]), ...targets.servers.map((name) => [name, stack])]
  return Object.fromEntries(
    owners.map(([name, owner]) => [name, { kill: () => owner.kill(name), restart: () => owner.restart(name) }]),
  )
}

function secondsSince(moment) {
  return Math.round((Date.now() - moment) / 100) / 10
}
