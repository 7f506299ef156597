import { setTimeout as delay } from 'node:timers/promises'
import { freePorts } from '../../../dev/profile.mjs'
import { createAftermath } from '../aftermath.mjs'
import { besideLoad } from '../beside-load.mjs'
import { breakEach } from '../breaks.mjs'
import { checkLoggedOut } from '../check-sessions.mjs'
import { Findings, kinds } from '../findings.mjs'
import { inspect } from '../inspection.mjs'
import { createLoad } from '../load.mjs'
import { promises } from '../options.mjs'
import { printReport, reportOf } from '../report.mjs'
import { createDatabases } from '../restores/databases.mjs'
import { runCommand } from '../restores/operator.mjs'
import { settle } from '../restores/settle.mjs'
import { steps } from '../restores/steps.mjs'
import { supervise } from '../restores/supervisor.mjs'
import { createWords, speakers } from '../restores/words.mjs'

/** Commands start this far apart at least: read models keep up, and something is always under way. */
const commandEveryMs = 60
/** Before a copy is taken, from there to its restore, and after it. */
const commandsEach = { before: 30, after: 30, since: 20 }
/** Commands go on whatever happens to what is behind the log; thirty take some seconds. */
const commandsMsMax = 120_000
/** A person waits for an operator, who is at it for a minute. */
const insistMsMax = 300_000

const verdicts = {
  kept: 'Every store was set back, and every promise is kept.',
  checkWorks: 'Every promise was kept, and each that was broken on purpose was noticed.',
  broken: 'NOT every promise was kept.',
}

/**
 * Sets each store back to an older copy, or makes it anew, while people use the system. What does not heal by itself has to refuse, in
 * words that hold the command that mends it; that command is run as it was printed.
 *
 * @type {import('../run.mjs').Scenario}
 */
export const restores = {
  // Nine steps of about a minute, and what a process that hangs costs.
  runMsMax: 40 * 60_000,
  async run({ system: { env, stack, services }, options, random, say, signal, fail, seconds }) {
    const load = createLoad({ urls: services.urls, random, signal, insistMsMax })
    load.setInterval(commandEveryMs)
    say(`${options.steps.length} stores are set back or made anew: ${options.steps.join(', ')}; seed ${options.seed}`)
    const aftermath = createAftermath()
    const supervisor = supervise(services, speakers, { signal })
    // Beside the processes of the system: a port of its own.
    const forOperators = {
      ...env,
      ANNALS_PROFILE: stack.profile.name,
      OPERATIONS_PORT: String((await freePorts(1))[0]),
    }
    const context = {
      env,
      stack,
      services,
      supervisor,
      urls: services.urls,
      load,
      databases: createDatabases(stack.env),
      aftermath,
      findings: new Findings(),
      run: (command) => runCommand(command, forOperators, signal),
    }
    const words = createWords(stack.profile)
    const look = async () => {
      const inspection = await inspect(env, load, aftermath)
      await checkLoggedOut(services.urls, load, inspection.findings)
      for (const { kind, place, count, examples } of context.findings.all())
        inspection.findings[kind](place, examples[0], count)
      return inspection
    }
    const frame = { context, words, look, say, signal }

    const moreCommands = async (count) => {
      const known = () => load.acknowledged.length + load.lost.commands
      const [wanted, deadline] = [known() + count, Date.now() + commandsMsMax]
      while (known() < wanted) {
        if (Date.now() > deadline) {
          context.findings.lost('commands', `${count} commands were not acknowledged within ${commandsMsMax / 1_000} s`)
          return
        }
        await delay(50, undefined, { signal })
      }
    }
    /** @param {string} name @param {{ follow?: boolean }} [how] */
    const runStep = async (name, { follow = true } = {}) => {
      const step = steps[name]
      const begun = seconds()
      say(step.says)
      load.release()
      await moreCommands(commandsEach.before)
      const copy = await step.copy?.(context)
      await moreCommands(commandsEach.after)
      words.forget()
      await step.setBack(context, copy)
      await moreCommands(commandsEach.since)
      load.hold()
      // And is held until the next one: what is inspected stands still.
      const { inspection, followed } = await settle(step, frame, { follow })
      const found = Object.fromEntries(kinds.map((kind) => [kind, inspection.findings.count(kind)]))
      const outcome = !inspection.findings.none ? 'broken' : followed.length > 0 ? 'mended' : 'healed'
      say(`  ${outcome}${inspection.findings.none ? '' : `: ${inspection.findings.summary()}`}`)
      return {
        inspection,
        step: { name, outcome, ...found, followed: followed.map(told), seconds: rounded(seconds() - begun) },
      }
    }

    const results = []
    let inspection
    let broken = { inspection, noticed: true }
    const names = promises.restores.filter((name) => options.selfCheck || options.breaks.includes(name))
    let whole = false
    const work = async () => {
      try {
        for (const name of options.steps) {
          const { step, inspection: after } = await runStep(name)
          results.push(step)
          inspection = after
          // What is broken stays so, and would be found after every other step again.
          if (step.outcome === 'broken') break
        }
        whole = inspection.findings.none
        broken = await breakEach(whole ? names : [], breaks, inspection, {
          context: { env, load, services, runStep },
          look,
          say,
        })
      } finally {
        load.finish()
        load.release()
        // Who waits for what is broken would wait for ever.
        if (!whole || names.length > 0) load.giveUpReads()
      }
    }
    try {
      await besideLoad(load, work, { say, signal, fail })
    } finally {
      await supervisor.end()
    }
    inspection = broken.inspection

    const outcomes = (outcome) => results.filter((step) => step.outcome === outcome).length
    const report = {
      ...reportOf({ inspection, load }),
      lostWithTheBackup: load.lost.commands,
      peopleInterrupted: load.lost.people,
      factsGone: aftermath.gone.size,
      steps: results,
      stepsNotRun: options.steps.slice(results.length),
      refusals: results.reduce((sum, { followed }) => sum + followed.length, 0),
      healed: outcomes('healed'),
      mended: outcomes('mended'),
      processesEnded: supervisor.ends,
      seed: options.seed,
      seconds: seconds(),
      broken: names,
      wholeBeforeBreaking: whole,
      allBreaksNoticed: broken.noticed,
    }
    printReport(report, [
      ['lost with the backup', `${report.lostWithTheBackup} commands, ${report.factsGone} facts`],
      ['stores that healed / were mended', `${report.healed} / ${report.mended}`],
      ...results.map(({ name, outcome, followed, seconds: took }) => [
        `  ${name}`,
        `${outcome}, ${took} s${followed.map(({ process }) => `, ${process} refused`).join('')}`,
      ]),
      ...(report.stepsNotRun.length > 0 ? [['not run', report.stepsNotRun.join(', ')]] : []),
    ])
    // Breaking everything is a test of the check itself; breaking one promise is a run that has to fail.
    const passed = options.selfCheck ? whole && broken.noticed : inspection.findings.none
    return {
      report,
      passed,
      verdict: passed ? verdicts[options.selfCheck ? 'checkWorks' : 'kept'] : verdicts.broken,
      worthReading: !passed && (options.selfCheck || names.length === 0),
    }
  },
}

/** @type {Record<string, import('../breaks.mjs').Break>} by what `--break` calls it */
const breaks = {
  'logged-in': {
    says: 'somebody is claimed to have logged out who has not',
    expects: { kind: 'wrong', place: 'sessions' },
    apply({ load }) {
      load.loggedOut.push({ token: load.finished.at(-1).session.accessToken, at: Date.now() })
    },
  },
  'skip-remedy': {
    says: 'the log is put back, and nobody follows the words of those who refuse',
    expects: { kind: 'lost', place: 'topics' },
    apply: ({ runStep }) => runStep('log', { follow: false }),
  },
}

/** @param {import('../restores/settle.mjs').Followed} followed */
const told = ({ process, says, commands }) => ({ process, says, commands })

const rounded = (value) => Math.round(value * 10) / 10
