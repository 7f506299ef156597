import { writeFileSync } from 'node:fs'
import { kinds } from './findings.mjs'

/**
 * What every scenario reports: counts of what was sent, and of what was found broken.
 *
 * @param {object} run
 * @param {Awaited<ReturnType<typeof import('./inspection.mjs').inspect>>} run.inspection
 * @param {ReturnType<import('./load.mjs').createLoad>} run.load
 * @returns {Record<string, unknown>}
 */
export const reportOf = ({ inspection: { findings, numbers }, load }) => ({
  ...numbers,
  ...Object.fromEntries(kinds.map((kind) => [kind, findings.count(kind)])),
  requests: load.counts.requests,
  requestsUnanswered: load.counts.unanswered,
  requestsRepeated: load.counts.retries,
  problems: load.counts.byProblem,
  readsOwnWrites: load.reads.done,
  findings: findings.all(),
})

/** @param {ReturnType<typeof reportOf>} report @param {[name: string, value: unknown][]} lines the scenario's own */
export function printReport(report, lines) {
  const line = (name, value) => console.log(`  ${name.padEnd(34)}${value}`)
  console.log()
  line('commands acknowledged', report.commandsAcknowledged)
  line('requests', `${report.requests}, ${report.requestsRepeated} of them repeats`)
  line('requests without an answer', report.requestsUnanswered)
  line('reads of own writes', report.readsOwnWrites)
  line('events in the log', report.eventsInLog)
  line('records on the topics', report.recordsOnTopics)
  line('mails intended / recorded', `${report.mailsIntended} / ${report.mailsRecorded}`)
  line('mails received / once more', `${report.mailsReceived} / ${report.mailsReceivedAgain}`)
  for (const [name, value] of lines) line(name, value)
  for (const kind of kinds) line(kind, report[kind])
  for (const { kind, place, count, examples } of report.findings) {
    console.log(`\n  ${count} ${kind} in ${place}, for example`)
    for (const example of examples) console.log(`    ${example}`)
  }
  console.log()
}

/** @param {string} file @param {Record<string, unknown>} report */
export const writeReport = (file, report) => writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
