import { breakEach, breaks } from '../breaks.mjs'
import { drain, inspect } from '../inspection.mjs'
import { planKills, runKills } from '../kills.mjs'
import { createLoad } from '../load.mjs'
import { promises, targets } from '../options.mjs'
import { printReport, reportOf } from '../report.mjs'
import { besideLoad } from '../beside-load.mjs'

const verdicts = {
  kept: 'Every promise was kept.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept.',
}

/**
 * Kills every process of the system and two of its servers in turn, while people use it.
 *
 * @type {import('../run.mjs').Scenario}
 */
export const processes = {
  // Ten times six kills take some minutes on two idle cores.
  runMsMax: 20 * 60_000,
  async run({ system: { env, stack, services }, options, random, say, signal, fail, seconds }) {
    const load = createLoad({ urls: services.urls, commands: options.commands, random, signal })
    say(
      `${options.commands} commands, ${options.kills} kills of each of ${options.targets.join(', ')}; seed ${options.seed}`,
    )
    const plan = planKills(options.targets, options.kills, random)
    const work = () => runKills({ plan, processes: processesOf(stack, services), load, random, say, signal })
    const kills = await besideLoad(load, work, { say, signal, fail })
    say('everything is up again; what was accepted has to arrive')
    const drainedFrom = seconds()
    const look = () => inspect(env, load)
    let inspection = await drain(look, { say, signal })
    const drainSeconds = Math.round((seconds() - drainedFrom) * 10) / 10

    const whole = inspection.findings.none
    const names = promises.processes.filter((name) => options.selfCheck || options.breaks.includes(name))
    const broken = await breakEach(names, breaks, inspection, { context: { env, load, services }, look, say })
    inspection = broken.inspection

    const report = {
      ...reportOf({ inspection, load }),
      kills: kills.total,
      killsBy: kills.by,
      killsUnderLoad: kills.underLoad,
      failedStarts: kills.failedStarts,
      seed: options.seed,
      drainSeconds,
      seconds: seconds(),
      broken: names,
      wholeBeforeBreaking: whole,
      allBreaksNoticed: broken.noticed,
    }
    printReport(report, [
      ['kills', `${report.kills}, ${report.killsUnderLoad} of them under load`],
      ...Object.entries(report.killsBy).map(([name, count]) => [`  ${name}`, count]),
      ...(report.failedStarts.length > 0 ? [['starts that failed', report.failedStarts.length]] : []),
    ])
    // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
    const passed = options.selfCheck ? whole && broken.noticed : inspection.findings.none
    return {
      report,
      passed,
      verdict: passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken,
      // A process that did not come up at once is worth reading about, although it came up in the end.
      worthReading: (!passed && (options.selfCheck || names.length === 0)) || kills.failedStarts.length > 0,
    }
  },
}

/** Services and servers alike, by name. */
function processesOf(stack, services) {
  const owners = [...targets.services.map((name) => [name, services]), ...targets.servers.map((name) => [name, stack])]
  return Object.fromEntries(
    owners.map(([name, owner]) => [name, { kill: () => owner.kill(name), restart: () => owner.restart(name) }]),
  )
}
