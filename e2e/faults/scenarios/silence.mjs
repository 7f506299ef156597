import { setTimeout as delay } from 'node:timers/promises'
import { besideLoad } from '../beside-load.mjs'
import { breakEach, breaks } from '../breaks.mjs'
import { checkLoggedOut } from '../check-sessions.mjs'
import { drain, inspect } from '../inspection.mjs'
import { createLoad } from '../load.mjs'
import { promises } from '../options.mjs'
import { printReport, reportOf } from '../report.mjs'
import { spread } from '../servers/recovery.mjs'
import { watchServices } from '../servers/watch.mjs'
import { planSilences, runSilences } from '../silence/silences.mjs'

/** Slower than in other scenarios: people wait for deadlines, and what they do in between is what counts. */
const commandEveryMs = 60
const lookEveryMs = 100
const commandsMax = 1_000_000
const verdicts = {
  kept: 'Every promise was kept, and everything went on by itself.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept, or not everything went on by itself.',
}
const watched = ['command', 'relay', 'projector', 'notifier', 'query']

/**
 * Makes every connection of every process fall silent: nothing is closed, nothing is refused, nothing arrives. First all of them
 * for ever, as after a failover; then those to each server; then each alone for longer than its deadlines, and it comes back.
 *
 * @type {import('../run.mjs').Scenario}
 */
export const silence = {
  runMsMax: 60 * 60_000,
  system: { linked: true },
  async run({ system: { env, services, links }, options, random, say, signal, fail, seconds }) {
    const load = createLoad({ urls: services.urls, commands: commandsMax, random, signal })
    load.setInterval(commandEveryMs)
    const watch = watchServices(services, watched, { say, signal })
    const work = async () => {
      // Every link is in use by then, and is known to be.
      while (load.reads.done === 0) await delay(lookEveryMs, undefined, { signal })
      const plan = planSilences(links, random).slice(0, options.silences)
      say(`${plan.length} silences; those that end last ${options.silentSeconds} s; seed ${options.seed}`)
      const silentMs = options.silentSeconds * 1_000
      const result = await runSilences({ plan, silentMs, load, inboxUrl: env.MAIL_INBOX_URL, watch, say, signal })
      load.finish()
      return result
    }
    const fallen = await besideLoad(load, work, { say, signal, fail })
    say('every way is open again; what was accepted has to arrive')
    const readyAgainMs = await watch.readyAgain()
    await watch.stop()
    const drainedFrom = seconds()
    const look = () => inspect(env, load)
    let inspection = await drain(look, { say, signal })
    await checkLoggedOut(services.urls, load, inspection.findings)
    const drainSeconds = rounded(seconds() - drainedFrom)
    const whole = inspection.findings.none
    const names = promises.silence.filter((name) => options.selfCheck || options.breaks.includes(name))
    const broken = await breakEach(names, breaks, inspection, { context: { env, load, services }, look, say })
    inspection = broken.inspection

    const neverReady = Object.keys(readyAgainMs).filter((name) => readyAgainMs[name] < 0)
    const healed = fallen.filter(({ healedMs }) => healedMs !== undefined)
    const times = (some) => spread(healed.filter(some).map(({ healedMs }) => healedMs))
    const report = {
      ...reportOf({ inspection, load }),
      loggedOut: load.loggedOut.length,
      silences: fallen.length,
      healed: healed.length,
      // Nobody has to ask an operator for anything: what is not healed is a failure.
      refusals: 0,
      healedMs: { deadForEver: times(({ ends }) => !ends), cameBack: times(({ ends }) => ends) },
      linksSilenced: new Set(fallen.flatMap((each) => each.links)).size,
      servicesEnded: watch.ended.length,
      servicesEndedHow: watch.ended,
      servicesNeverReady: neverReady.length,
      servicesReadyAgainMs: readyAgainMs,
      servicesUnreadySeconds: Object.fromEntries(watched.map((name) => [name, rounded(watch.unreadyMs[name] / 1_000)])),
      seed: options.seed,
      drainSeconds,
      seconds: seconds(),
      broken: names,
      wholeBeforeBreaking: whole,
      allBreaksNoticed: broken.noticed,
      fallen,
    }
    const { deadForEver, cameBack } = report.healedMs
    printReport(report, [
      ['silences / healed', `${report.silences} / ${report.healed}`],
      ['links that fell silent', report.linksSilenced],
      ['healed, median / most', ''],
      ['  dead for ever', `${deadForEver.median} / ${deadForEver.max} ms after they fell silent`],
      ['  came back', `${cameBack.median} / ${cameBack.max} ms after they came back`],
      ['processes that ended', report.servicesEnded],
      ['processes not ready again', report.servicesNeverReady],
    ])
    const upright = neverReady.length === 0 && watch.ended.length === 0 && healed.length === fallen.length
    // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
    const passed = upright && (options.selfCheck ? whole && broken.noticed : inspection.findings.none)
    return {
      report,
      passed,
      verdict: passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken,
      worthReading: !passed && (options.selfCheck || names.length === 0),
    }
  },
}

const rounded = (value) => Math.round(value * 10) / 10
