import { setTimeout as delay } from 'node:timers/promises'
import { Findings } from '../findings.mjs'

const lookEveryMs = 1_500
/** Nobody says anything any more, and nothing has changed: it stays as it is. Watchers compare every 30 s at the latest. */
const stillMsMax = 100_000
/** Not followed on purpose: by then everybody has refused who will. */
const ignoredMs = 45_000
const stepMsMax = 300_000
/** Whole once is not whole for good: a late refusal or a late double shows in this time. */
const settleMs = 3_000
/** Exit code of the notifier's command line. */
const nothingToAccept = 4
/** Exit code of the replay command line when what is asked for can not be done as things stand. */
const notPossibleYet = 2
const answerMsMax = 4_000
/** The same process may refuse again: once for each store it compares, not without end. */
const followsMax = 4

/**
 * @typedef {object} Followed
 * @property {string} process that refused
 * @property {string} says
 * @property {string[]} commands that were run, as they were printed
 * @property {number} at when they had ended, in epoch ms
 * @property {string[]} ran those that did not fail, without their reasons
 *
 * Waits until everything is whole again, and does what processes that refuse say has to be done.
 *
 * @param {import('./steps.mjs').Step} step
 * @param {object} frame
 * @param {import('./steps.mjs').Context} frame.context
 * @param {ReturnType<import('./words.mjs').createWords>} frame.words
 * @param {() => ReturnType<import('../inspection.mjs').inspect>} frame.look
 * @param {(text: string) => void} frame.say
 * @param {AbortSignal} frame.signal
 * @param {{ follow: boolean }} options `follow: false`: refusals are heard, and nobody does anything
 * @returns {Promise<{ inspection: Awaited<ReturnType<typeof import('../inspection.mjs').inspect>>, followed: Followed[] }>}
 */
export async function settle(step, { context, words, look, say, signal }, { follow }) {
  const begun = Date.now()
  const followed = []
  let [before, changedAt, mended] = ['', begun, false]
  /** What can not be read yet is not whole. */
  const seen = async () => {
    try {
      const inspection = await look()
      if (context.load.underWay > 0) inspection.findings.lost('commands', 'some are under way', context.load.underWay)
      return inspection
    } catch (error) {
      signal.throwIfAborted()
      const findings = new Findings()
      findings.lost('inspection', error.message)
      return { findings, events: [], numbers: {} }
    }
  }

  for (;;) {
    for (const refusal of follow ? words.refusals() : []) {
      const { process } = refusal
      const timesBefore = followed.filter((each) => each.process === process).length
      if (timesBefore >= followsMax) continue
      // What one process says may be what another one needs as well: nobody is told twice.
      const { commands } = chosen(refusal, step)
      const isUnderstood = commands.every((command) =>
        followed.some(({ at, ran }) => at > refusal.at && ran.includes(essenceOf(command))),
      )
      if (!isUnderstood && !(await isReady(context.services.operations[process]))) {
        followed.push(await obey(refusal, commands, context, say))
        changedAt = Date.now()
      }
      words.forget([process])
    }
    const inspection = await seen()
    const summary = inspection.findings.summary()
    if (summary === '') {
      await delay(settleMs, undefined, { signal })
      if (words.refusals().length > 0 && follow) continue
      const again = await seen()
      if (again.findings.none) return { inspection: again, followed }
      continue
    }
    const now = Date.now()
    if (summary !== before) {
      say(`  still to come: ${summary}`)
      changedAt = now
    }
    before = summary
    const asked = follow && !mended ? await step.asks?.(context).catch(() => undefined) : undefined
    if (asked) {
      say(`  an operator reads: ${asked}`)
      await step.mend(context)
      followed.push({ process: 'operator', says: asked, commands: [], at: Date.now(), ran: [] })
      mended = true
      changedAt = Date.now()
    }
    // A command that failed stays failed, however whole everything else has become.
    if (inspection.findings.all().every(({ place }) => place === 'remedies')) return { inspection, followed }
    const limit = follow ? stillMsMax : ignoredMs
    if (now - changedAt > limit || now - begun > stepMsMax) return { inspection, followed }
    await delay(lookEveryMs, undefined, { signal })
  }
}

/** @returns {import('./words.mjs').Choice} */
const chosen = ({ process, choices }, step) =>
  choices.find(({ text }) => step.choices?.[process]?.test(text)) ?? choices[0]

/** A command without the reason that is given for it. */
const essenceOf = (command) => command.replace(/ --why .*$/, '')

/** Who refuses is not ready; who is, has gone on meanwhile. */
async function isReady(url) {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(answerMsMax) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

/**
 * The projector may have compared the log before the relay has: then this call changes nothing and names the relay's, which comes first. It
 * is made again when its turn has come.
 */
const waitsForRelay = (command, { exitCode, message }) =>
  command.startsWith('npm run replay') && exitCode === notPossibleYet && message.includes('npm run relay -- ')

/** @returns {Promise<Followed>} */
async function obey({ process, says }, commands, context, say) {
  say(`  ${process} refuses: ${says}`)
  const ran = []
  for (const command of commands) {
    say(`  $ ${command}`)
    try {
      await context.run(command)
      ran.push(essenceOf(command))
    } catch (error) {
      // Nobody there has missed anything; if that changes, they will say so themselves.
      const isNotAsked = command.startsWith('npm run notifier') && error.exitCode === nothingToAccept
      const hasToWait = waitsForRelay(command, error)
      if (!isNotAsked && !hasToWait) context.findings.wrong('remedies', error.message)
      say(`  that ${isNotAsked ? 'was not needed' : hasToWait ? 'has to wait' : 'failed'}: ${error.message}`)
    }
  }
  return { process, says, commands, at: Date.now(), ran }
}
