/**
 * `npm run test:faults`: kills everything that can be killed while people use the system, and then asks whether each promise
 * was kept. README.md says what each check proves.
 *
 *   -- --commands 3000     acknowledged commands before the load ends
 *   -- --kills 10          kills of each of relay, projector, notifier, command API, event store and Kafka
 *   -- --json <file>       the report, for programs
 *   -- --seed 7            repeats the order of commands and kills of an earlier run
 *   -- --break <promise>   breaks one promise on purpose after the run: the exit code has to be 1
 *   -- --self-check        breaks them all, one after the other, and fails unless the check finds each
 *   -- --keep              leaves data and logs
 */
import { setMaxListeners } from 'node:events'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withLifetime } from '../dev/lifetime.mjs'
import { root, shown } from '../dev/profile.mjs'
import { Progress } from '../dev/progress.mjs'
import { Trouble } from '../dev/trouble.mjs'
import { breaks } from './faults/breaks.mjs'
import { drain, inspect } from './faults/inspection.mjs'
import { planKills, runKills, targets } from './faults/kills.mjs'
import { createLoad } from './faults/load.mjs'
import { createRandom } from './faults/random.mjs'
import { printReport, reportOf, writeReport } from './faults/report.mjs'
import { openSystem } from './system.mjs'

/** Ten times six kills take some minutes on two idle cores; a run that takes this long has hung. */
const runMsMax = 20 * 60_000
const sayEveryMs = 10_000
/** The logs of the last run that failed. */
const keptLogs = join(root, '.annals/failed-faults-logs')

/** Everybody here comes from one address and insists; the throttle of logins has tests of its own. */
const oneHouse = { LOGIN_ATTEMPTS_PER_IP: '100000', LOGIN_ATTEMPTS_PER_ADDRESS: '1000' }

const verdicts = {
  kept: 'Every promise was kept.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept.',
}

const progress = new Progress()
const begun = Date.now()
const say = (text) => console.log(`  ${String(Math.round((Date.now() - begun) / 1000)).padStart(4)} s  ${text}`)

await withLifetime(
  async ({ signal: interrupted, onEnd }) => {
    const options = readOptions()
    /** Load and kills end together when one of them fails. */
    const failing = new AbortController()
    const signal = AbortSignal.any([interrupted, failing.signal])
    const tooLong = new Trouble(`The run was not over after ${runMsMax / 60_000} minutes.`)
    setTimeout(() => failing.abort(tooLong), runMsMax).unref()
    // Every client and every kill waits on it.
    setMaxListeners(100, signal)
    const random = createRandom(options.seed)
    const system = await openSystem(`faults-${process.pid}`, { env: oneHouse, progress, signal })
    const { env, stack, services } = system
    let failed = true
    onEnd(async () => {
      await system.close({ keep: true })
      rmSync(keptLogs, { recursive: true, force: true })
      if (failed) cpSync(stack.profile.logs, keptLogs, { recursive: true })
      if (failed) console.log(`The logs of this run: ${shown(keptLogs)}`)
      if (options.keep) console.log(`Its data: ${shown(stack.profile.dir)}`)
      else rmSync(stack.profile.dir, { recursive: true, force: true })
    })
    const load = createLoad({ urls: services.urls, commands: options.commands, random, signal })
    say(
      `${options.commands} commands, ${options.kills} kills of each of ${Object.values(targets).flat().join(', ')}; seed ${options.seed}`,
    )

    const kills = await underFire({ load, processes: processesOf(stack, services), options, random, signal, failing })
    say('everything is up again; what was accepted has to arrive')
    const drainedFrom = Date.now()
    let inspection = await drain(() => inspect(env, load), { say, signal })
    const facts = { seed: options.seed, drainSeconds: secondsSince(drainedFrom) }

    const whole = inspection.findings.none
    let noticed = true
    for (const name of options.breaks) {
      const before = inspection.findings
      say(`breaking a promise: ${breaks[name].says}`)
      await breaks[name].apply({ env, load, events: inspection.events, services })
      inspection = await inspect(env, load)
      const { kind, place } = breaks[name].expects
      const found = inspection.findings.count(kind, place) - before.count(kind, place)
      say(found > 0 ? `  noticed: ${found} ${kind} in ${place}` : `  NOT NOTICED: nothing ${kind} in ${place}`)
      noticed &&= found > 0
    }

    const report = reportOf({
      inspection,
      kills,
      load,
      facts: {
        ...facts,
        seconds: secondsSince(begun),
        broken: options.breaks,
        wholeBeforeBreaking: whole,
        allBreaksNoticed: noticed,
      },
    })
    printReport(report)
    if (options.json) writeReport(options.json, report)
    // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
    const passed = options.selfCheck ? whole && noticed : inspection.findings.none
    failed = !passed
    console.log(passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken)
    return passed ? 0 : 1
  },
  { progress },
)

/** Runs load and kills side by side; when one fails, the other ends too. */
async function underFire({ load, processes, options, random, signal, failing }) {
  const telling = setInterval(
    () =>
      say(`${load.acknowledged.length} commands acknowledged, ${load.counts.unanswered} requests without an answer`),
    sayEveryMs,
  )
  const plan = planKills(options.kills, random)
  try {
    const [kills] = await Promise.all(
      [runKills({ plan, processes, load, random, say, signal }), load.run()].map((work) =>
        work.catch((error) => {
          failing.abort(error)
          // What went wrong first: everything after it only heard that it is over.
          throw signal.reason
        }),
      ),
    )
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

function readOptions() {
  const values = readArguments()
  const unknown = values.break.find((name) => !Object.hasOwn(breaks, name))
  if (unknown !== undefined)
    throw new Trouble(`"${unknown}" can not be broken; --break takes ${Object.keys(breaks).join(', ')}.`)
  return {
    commands: whole('commands', values.commands, 10, 100_000),
    kills: whole('kills', values.kills, 0, 100),
    seed: whole('seed', values.seed, 0, 2 ** 32 - 1),
    json: values.json,
    breaks: values['self-check'] ? Object.keys(breaks) : values.break,
    selfCheck: values['self-check'],
    keep: values.keep,
  }
}

function whole(name, text, min, max) {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new Trouble(`--${name} has to be a whole number from ${min} to ${max}, not "${text}".`)
}

function readArguments() {
  const options = {
    commands: { type: 'string', default: '3000' },
    kills: { type: 'string', default: '10' },
    json: { type: 'string' },
    seed: { type: 'string', default: String(process.pid) },
    break: { type: 'string', multiple: true, default: [] },
    'self-check': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    throw new Trouble(`${error.message}.`, { remedy: 'the options stand at the top of e2e/faults.mjs.', cause: error })
  }
}
