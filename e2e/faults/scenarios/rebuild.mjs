import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { besideLoad } from '../beside-load.mjs'
import { breakEach, changeOne } from '../breaks.mjs'
import { drain, inspect } from '../inspection.mjs'
import { createLoad } from '../load.mjs'
import { promises } from '../options.mjs'
import { writePast } from '../past.mjs'
import { createReaders } from '../readers.mjs'
import { createRebuilds, planRebuilds } from '../rebuilds.mjs'
import { printReport, reportOf } from '../report.mjs'

/** Between two commands: something is always under way, and two cores have time for the rebuilds. */
const commandEveryMs = 250
/** Somebody has to have done something before readers can ask for it. */
const firstCommands = 20

const verdicts = {
  kept: 'Every rebuild ended verified equal, every read was served, and every promise was kept.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept.',
}

/**
 * Rebuilds read models of a long log while people use them, and kills the rebuilds.
 *
 * @type {import('../run.mjs').Scenario}
 */
export const rebuild = {
  // A hundred rebuilds of 200,000 events take less than half an hour on two idle cores.
  runMsMax: 90 * 60_000,
  async run(frame) {
    const { system, options, random, say, signal, fail, seconds } = frame
    const { env, services } = system
    say(`${options.rebuilds} rebuilds of ${options.events} events and what comes meanwhile; seed ${options.seed}`)
    const past = await writePast(frame, options.events)
    const load = createLoad({ urls: services.urls, past, random, signal })
    load.setInterval(commandEveryMs)
    const readers = createReaders({ env, urls: services.urls, say, past, load, random, signal })
    await readers.prepare()
    const db = await watch(env.PROJECTION_DATABASE_URL)
    try {
      const rebuilds = createRebuilds({ env, db, say, events: options.events, random, signal })
      const { rows } = await db.query('select name from annals.projection order by name')
      const plan = planRebuilds(
        options.rebuilds,
        rows.map(({ name }) => name),
        random,
      )
      const begun = seconds()
      const during = { reads: 0 }
      const work = async () => {
        while (load.acknowledged.length < firstCommands) await delay(100, undefined, { signal })
        const before = readers.counts.reads
        try {
          say(`one that nobody kills takes ${await rebuilds.calibrate(['payments'])} ms`)
          for (const projections of plan) await rebuilds.rebuild(projections)
        } finally {
          during.reads = readers.counts.reads - before
          readers.stop()
          load.finish()
        }
      }
      const tell = () =>
        `${rebuilds.counts.rebuilds} of ${plan.length} rebuilds, ${rebuilds.counts.kills} kills, ` +
        `${rebuilds.counts.verifiedEqual} verified equal; ${readers.counts.reads} reads, ${readers.counts.failed} failed`
      await besideLoad(load, () => Promise.all([work(), readers.run()]), { say, signal, fail, tell })
      const rebuildSeconds = Math.round((seconds() - begun) * 10) / 10

      say('the rebuilds are over; what was accepted has to arrive')
      const drainedFrom = seconds()
      const drained = await drain(() => inspect(env, load), { say, signal })
      const drainSeconds = Math.round((seconds() - drainedFrom) * 10) / 10
      addFindings(drained.findings, rebuilds, readers)

      const whole = drained.findings.none
      const names = promises.rebuild.filter((name) => options.selfCheck || options.breaks.includes(name))
      const look = async () => {
        const inspection = await inspect(env, load)
        addFindings(inspection.findings, rebuilds, readers)
        return inspection
      }
      const context = { env, load, services, rebuilds, readers }
      const { inspection, noticed } = await breakEach(names, breaks, drained, { context, look, say })

      const { failures: _, ...rebuilt } = rebuilds.counts
      const report = {
        ...reportOf({ inspection, load }),
        ...rebuilt,
        readsDuring: during.reads,
        readsFailed: readers.counts.failed,
        readsBehind: readers.counts.behind,
        readsByRoute: readers.counts.byRoute,
        slowestReadMs: readers.counts.slowestMs,
        seed: options.seed,
        eventsOfThePast: options.events,
        rebuildSeconds,
        drainSeconds,
        seconds: seconds(),
        broken: names,
        wholeBeforeBreaking: whole,
        allBreaksNoticed: noticed,
      }
      printReport(report, [
        ['rebuilds / verified equal', `${report.rebuilds} / ${report.verifiedEqual}`],
        ['kills', report.kills],
        ...Object.entries(report.killsAt).map(([stage, count]) => [`  ${stage}`, count]),
        ['rebuilds done before their kill', report.killsTooLate],
        ['calls that met a lock, at most ms', `${report.lockedOut}, ${report.lockedOutMsMax}`],
        ['swaps that were not let in', report.swapsBusy],
        ['reads during rebuilds / failed', `${report.readsDuring} / ${report.readsFailed}`],
        ['reads told to come again', report.readsBehind],
        ['slowest read, ms', report.slowestReadMs],
      ])
      // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
      const passed = options.selfCheck ? whole && noticed : inspection.findings.none
      return {
        report,
        passed,
        verdict: passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken,
        worthReading: !passed && (options.selfCheck || names.length === 0),
      }
    } finally {
      await db.end()
    }
  },
}

/** A rebuild that did not end as it should and a read that was not served are broken promises as well. */
function addFindings(findings, rebuilds, readers) {
  for (const failure of rebuilds.counts.failures) findings.wrong('rebuilds', failure)
  const { failed, failures } = readers.counts
  for (const failure of failures) findings.wrong('reads', failure)
  if (failed > failures.length)
    findings.wrong('reads', `and ${failed - failures.length} more`, failed - failures.length)
}

/** @type {Record<string, import('../breaks.mjs').Break>} by what `--break` calls it */
const breaks = {
  'live-row': {
    says: 'a row of a live read model is changed, and the read model rebuilt',
    expects: { kind: 'wrong', place: 'rebuilds' },
    async apply({ env, rebuilds }) {
      await changeOne(
        env.PROJECTION_DATABASE_URL,
        `update payments.payment set description = 'changed'
         where payment_id in (select payment_id from payments.payment order by created_at limit 1)`,
      )
      await rebuilds.rebuildInPeace(['payments'])
    },
  },
  'query-down': {
    says: 'the query API is killed, and asked',
    expects: { kind: 'wrong', place: 'reads' },
    async apply({ services, readers }) {
      await services.kill('query')
      await readers.readOnce()
      await services.restart('query')
    },
  },
}

async function watch(url) {
  const db = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 60_000 })
  await db.connect()
  return db
}
