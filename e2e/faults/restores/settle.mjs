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
/** The same process may refuse again: once for each store it compares, not without end. */
const followsMax = 4

/**
 * @typedef {object} Followed
 * @property {string} process that refused
 * @property {string} says
 * @property {string[]} commands that were run, as they were printed
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
    const refusals = follow ? words.refusals() : []
    for (const refusal of refusals) {
      const timesBefore = followed.filter(({ process }) => process === refusal.process).length
      if (timesBefore >= followsMax) continue
      followed.push(await obey(refusal, step, context, say))
      words.forget([refusal.process])
      changedAt = Date.now()
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
      followed.push({ process: 'operator', says: asked, commands: [] })
      mended = true
      changedAt = Date.now()
    }
    const limit = follow ? stillMsMax : ignoredMs
    if (now - changedAt > limit || now - begun > stepMsMax) return { inspection, followed }
    await delay(lookEveryMs, undefined, { signal })
  }
}

/** @returns {Promise<Followed>} */
async function obey({ process, says, choices }, step, context, say) {
  const wanted = step.choices?.[process]
  const choice = choices.find(({ text }) => wanted?.test(text)) ?? choices[0]
  say(`  ${process} refuses: ${says}`)
  for (const command of choice.commands) {
    say(`  $ ${command}`)
    try {
      await context.run(command)
    } catch (error) {
      context.findings.wrong('remedies', error.message)
      say(`  that failed: ${error.message}`)
    }
  }
  return { process, says, commands: choice.commands }
}
