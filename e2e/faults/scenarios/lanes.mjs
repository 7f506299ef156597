import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { besideLoad } from '../beside-load.mjs'
import { breakEach, changeOne } from '../breaks.mjs'
import { drain, inspect } from '../inspection.mjs'
import { runInstances } from '../lanes/instances.mjs'
import { runLeaves } from '../lanes/leaves.mjs'
import { runOperator } from '../lanes/operator.mjs'
import { watchPlaces } from '../lanes/places.mjs'
import { createTurns } from '../lanes/turns.mjs'
import { chains } from '../check-lane.mjs'
import { createLoad } from '../load.mjs'
import { promises } from '../options.mjs'
import { createRebuilds } from '../rebuilds.mjs'
import { printReport, reportOf } from '../report.mjs'

/** Commands start this far apart at least: three projectors, which start again and again, and rebuilds share the machine with them. */
const commandEveryMs = 80
/** Somebody has to have done something before a rebuild can be compared with anything. */
const firstCommands = 40

const verdicts = {
  kept: 'Every read model joined again, and every promise was kept.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept.',
}

/**
 * Makes read models leave their lane, rebuilds them and rolls them back, while instances of the projector start, stop, freeze and are
 * killed, and people write and read.
 *
 * @type {import('../run.mjs').Scenario}
 */
export const lanes = {
  // Beside the minutes with faults: start, joining and drain.
  runMsMax: 75 * 60_000,
  async run({ system: { env, services }, options, random, say, signal, fail, seconds }) {
    say(`${options.minutes} minutes of read models that leave, are rebuilt and rolled back; seed ${options.seed}`)
    const load = createLoad({ urls: services.urls, random, signal })
    load.setInterval(commandEveryMs)
    const url = env.PROJECTION_DATABASE_URL
    const [db, watching] = await Promise.all([connect(url), connect(url)])
    const places = watchPlaces(watching, { signal, fail })
    try {
      const { rows } = await db.query('select name from annals.projection order by name')
      const models = rows.map(({ name }) => name).filter((name) => !chains.has(name))
      const rebuilds = createRebuilds({ env, db, say, events: 0, random, signal, mayBeOutside: true })
      const turns = createTurns()
      const operator = {}
      const work = async () => {
        while (load.acknowledged.length < firstCommands) await delay(100, undefined, { signal })
        const ending = Date.now() + options.minutes * 60_000
        try {
          return await allOf([
            runLeaves({ url, models, turns, places, operator, ending, random, signal }),
            runOperator({ env, rebuilds, models, turns, operator, ending, random, say, signal }),
            runInstances({ services, ending, random, say, signal }),
          ])
        } finally {
          load.finish()
        }
      }
      const tell = () =>
        `${places.leaves} leaves, ${places.joins} joins, ${places.outside().length} read models outside; ` +
        `${rebuilds.counts.rebuilds} rebuilds, ${rebuilds.counts.kills} of them killed`
      const [left, operated, instances] = await besideLoad(load, work, { say, signal, fail, tell })

      say('everything is up again; what was accepted has to arrive')
      const drainedFrom = seconds()
      const look = async () => {
        const inspection = await inspect(env, load)
        for (const failure of rebuilds.counts.failures) inspection.findings.wrong('rebuilds', failure)
        for (const failure of operated.failures) inspection.findings.wrong('rollbacks', failure)
        for (const end of instances.ended) inspection.findings.wrong('instances', end)
        return inspection
      }
      const drained = await drain(look, { say, signal })
      const drainSeconds = Math.round((seconds() - drainedFrom) * 10) / 10
      await places.stop()
      const swaps = await db.query(
        `select count(*)::integer as count, (count(*) filter (where report ->> 'compared' = 'false'))::integer as outside
         from annals.rebuild where state = 'live'`,
      )

      const whole = drained.findings.none
      const names = promises.lanes.filter((name) => options.selfCheck || options.breaks.includes(name))
      const context = { env, load, services }
      const { inspection, noticed } = await breakEach(names, breaks, drained, { context, look, say })

      const report = {
        ...reportOf({ inspection, load }),
        leavesCausedBy: left.by,
        leavesNoticed: left.noticed,
        leaves: places.leaves,
        joins: places.joins,
        rebuilds: rebuilds.counts.rebuilds,
        rebuildKills: rebuilds.counts.kills,
        rebuildsUnverified: rebuilds.counts.unverified,
        swaps: swaps.rows[0].count,
        swapsOutside: swaps.rows[0].outside,
        rollbacks: operated.rollbacks,
        instances: instances.by,
        instancesEnded: instances.ended,
        failedStarts: instances.failedStarts,
        seed: options.seed,
        drainSeconds,
        seconds: seconds(),
        broken: names,
        wholeBeforeBreaking: whole,
        allBreaksNoticed: noticed,
      }
      printReport(report, [
        ['read models made to leave', `${sumOf(report.leavesCausedBy)}, ${report.leavesNoticed} of them left`],
        ...Object.entries(report.leavesCausedBy).map(([how, count]) => [`  ${how}`, count]),
        ['places left / joined', `${report.leaves} / ${report.joins}`],
        ['rebuilds / swaps', `${report.rebuilds} / ${report.swaps}`],
        ['swaps of one out of the lane', report.swapsOutside],
        ['kills of rebuilds', report.rebuildKills],
        ['rebuilds that nothing spoke for', report.rebuildsUnverified],
        ['rollbacks', report.rollbacks],
        ['instances of the projector', ''],
        ...Object.entries(report.instances).map(([how, count]) => [`  ${how}`, count]),
        ...(report.failedStarts.length > 0 ? [['starts that failed', report.failedStarts.length]] : []),
      ])
      // Harm that nobody noticed proves nothing.
      const upright = report.leavesNoticed > 0 && report.swaps > 0 && report.rollbacks > 0
      // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
      const passed = upright && (options.selfCheck ? whole && noticed : inspection.findings.none)
      return {
        report,
        passed,
        verdict: passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken,
        worthReading: (!passed && (options.selfCheck || names.length === 0)) || instances.failedStarts.length > 0,
      }
    } finally {
      await places.stop().catch(() => {})
      await Promise.all([db.end(), watching.end()])
    }
  },
}

/** @type {Record<string, import('../breaks.mjs').Break>} by what `--break` calls it */
const breaks = {
  'applied-twice': {
    says: 'an event is applied to one read model a second time, as after a join that forgot it',
    expects: { kind: 'doubled', place: 'read-models' },
    apply: ({ env }) =>
      changeOne(
        env.PROJECTION_DATABASE_URL,
        `update user_logins.user_login set login_count = login_count + 1
         where ctid in (select ctid from user_logins.user_login limit 1)`,
      ),
  },
  'left-out': {
    says: 'an event is left out of one read model, as after a join that came too early',
    expects: { kind: 'lost', place: 'read-models' },
    apply: ({ env }) =>
      changeOne(
        env.PROJECTION_DATABASE_URL,
        `delete from payment_history.payment_event
         where event_id in (select event_id from payment_history.payment_event limit 1)`,
      ),
  },
  'stream-revision': {
    says: 'the revision of a stream is moved back in the lane',
    expects: { kind: 'lost', place: 'streams' },
    apply: ({ env }) =>
      changeOne(
        env.PROJECTION_DATABASE_URL,
        `update annals.stream set revision = revision - 1
         where stream in (select stream from annals.stream where revision > 0 limit 1)`,
      ),
  },
}

/** All of them to their end, even after a failure: what was changed has to be as it was when everything is stopped. */
async function allOf(works) {
  const outcomes = await Promise.allSettled(works)
  const failed = outcomes.find(({ status }) => status === 'rejected')
  if (failed) throw failed.reason
  return outcomes.map(({ value }) => value)
}

const sumOf = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0)

async function connect(url) {
  const db = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 60_000 })
  await db.connect()
  return db
}
