import { besideLoad } from '../beside-load.mjs'
import { breakEach, breaks } from '../breaks.mjs'
import { checkLoggedOut } from '../check-sessions.mjs'
import { drain, inspect } from '../inspection.mjs'
import { createLoad } from '../load.mjs'
import { promises } from '../options.mjs'
import { printReport, reportOf } from '../report.mjs'
import { openCluster } from '../servers/cluster.mjs'
import { runOutages } from '../servers/outages.mjs'
import { recoveryOf, spread } from '../servers/recovery.mjs'
import { watchServices } from '../servers/watch.mjs'

/** Commands start this far apart at least: all of it is one machine, which also starts brokers again and again. */
const commandEveryMs = 40
const commandsMax = 1_000_000
const verdicts = {
  kept: 'Every promise was kept.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept.',
}

/** The payment gateway sandbox holds its answers in a file: it is no process of the system. */
const watched = ['command', 'relay', 'projector', 'notifier', 'query']

/**
 * Kills, freezes and restarts the servers under the system: of three Kafka nodes one that leads something every 10 s, and
 * PostgreSQL, Redis and the event store in turn, while people use it.
 *
 * @type {import('../run.mjs').Scenario}
 */
export const servers = {
  // Beside the minutes with faults: start, recovery and drain.
  runMsMax: 40 * 60_000,
  system: { kafkaNodes: 3 },
  async run({ system: { env, stack, services }, options, random, say, signal, fail, seconds }) {
    const ms = options.minutes * 60_000
    const load = createLoad({ urls: services.urls, commands: commandsMax, random, signal })
    load.setInterval(commandEveryMs)
    say(`${options.minutes} minutes of faults of the servers; seed ${options.seed}`)
    const brokers = env.KAFKA_BROKERS.split(',')
    const nodes = brokers.map((broker, index) => ({ name: index === 0 ? 'kafka' : `kafka${index + 1}`, broker }))
    const cluster = openCluster(nodes, { signal })
    // A topic with fewer replicas would be down with its only node, and the run would prove something else.
    await cluster.inSync()
    const watch = watchServices(services, watched, { say, signal })
    const work = async () => {
      const result = await runOutages({ ms, stack, cluster, random, say, signal })
      load.finish()
      return result
    }
    const { outages, failedStarts } = await besideLoad(load, work, { say, signal, fail })
    say('everything is up again; what was accepted has to arrive')
    const readyAgainMs = await watch.readyAgain()
    await watch.stop()
    const drainedFrom = seconds()
    const look = () => inspect(env, load)
    let inspection = await drain(look, { say, signal })
    await checkLoggedOut(services.urls, load, inspection.findings)
    const drainSeconds = rounded(seconds() - drainedFrom)
    const whole = inspection.findings.none
    const names = promises.servers.filter((name) => options.selfCheck || options.breaks.includes(name))
    const broken = await breakEach(names, breaks, inspection, { context: { env, load, services }, look, say })
    inspection = broken.inspection
    const recoveries = recoveryOf(outages, load.timeline)
    const neverReady = Object.keys(readyAgainMs).filter((name) => readyAgainMs[name] < 0)

    const kafka = outages.filter(({ server }) => server === 'kafka')
    const begins = kafka.map(({ at }) => at)
    const report = {
      ...reportOf({ inspection, load }),
      loggedOut: load.loggedOut.length,
      serverFaults: outages.length,
      serverFaultsBy: countBy(outages, ({ server, how }) => `${server} ${how}`),
      leadersKilled: kafka.filter(({ how }) => how === 'kill').length,
      leadersFrozen: kafka.filter(({ how }) => how === 'freeze').length,
      leaderFaultEverySeconds:
        kafka.length > 1 ? rounded((begins.at(-1) - begins[0]) / (kafka.length - 1) / 1_000) : undefined,
      kafkaInSyncMs: spread(kafka.map(({ inSyncMs }) => inSyncMs)),
      recoveryBy: recoveryBy(recoveries),
      servicesEnded: watch.ended.length,
      servicesEndedHow: watch.ended,
      servicesNeverReady: neverReady.length,
      servicesReadyAgainMs: readyAgainMs,
      servicesUnreadySeconds: Object.fromEntries(watched.map((name) => [name, rounded(watch.unreadyMs[name] / 1_000)])),
      failedStarts,
      seed: options.seed,
      drainSeconds,
      seconds: seconds(),
      broken: names,
      wholeBeforeBreaking: whole,
      allBreaksNoticed: broken.noticed,
      outages: recoveries,
    }
    printReport(report, [
      ['faults of servers', report.serverFaults],
      ...Object.entries(report.serverFaultsBy).map(([name, count]) => [`  ${name}`, count]),
      ['leaders killed / frozen', `${report.leadersKilled} / ${report.leadersFrozen}`],
      ['one leader every', `${report.leaderFaultEverySeconds} s`],
      ['people waited, median / most', ''],
      ...Object.entries(report.recoveryBy).map(([name, { commandsMs, readsMs }]) => [
        `  ${name}`,
        `commands ${commandsMs.median} / ${commandsMs.max} ms, reads ${readsMs.median} / ${readsMs.max} ms`,
      ]),
      ['processes that ended', report.servicesEnded],
      ['processes not ready again', report.servicesNeverReady],
      ...(failedStarts.length > 0 ? [['starts that failed', failedStarts.length]] : []),
    ])
    // Faults that met nobody at work prove nothing.
    const upright = neverReady.length === 0 && watch.ended.length === 0 && load.acknowledged.length > outages.length
    // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
    const passed = upright && (options.selfCheck ? whole && broken.noticed : inspection.findings.none)
    return {
      report,
      passed,
      verdict: passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken,
      worthReading: (!passed && (options.selfCheck || names.length === 0)) || failedStarts.length > 0,
    }
  },
}

const recoveryBy = (recoveries) => {
  const names = [...new Set(recoveries.map(({ server, how }) => `${server} ${how}`))].toSorted()
  return Object.fromEntries(
    names.map((name) => {
      const these = recoveries.filter(({ server, how }) => `${server} ${how}` === name)
      const times = (key) => spread(these.map((each) => each[key]).filter((ms) => ms !== undefined))
      return [name, { commandsMs: times('commandsAgainMs'), readsMs: times('readsAgainMs') }]
    }),
  )
}

function countBy(items, nameOf) {
  const counts = {}
  for (const item of items) counts[nameOf(item)] = (counts[nameOf(item)] ?? 0) + 1
  return counts
}

const rounded = (value) => Math.round(value * 10) / 10
