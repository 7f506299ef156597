import { writeFileSync } from 'node:fs'
import { kinds } from './findings.mjs'

/**
 * @param {object} run
 * @param {Awaited<ReturnType<import('./inspection.mjs').inspect>>} run.inspection
 * @param {Awaited<ReturnType<import('./kills.mjs').runKills>>} run.kills
 * @param {ReturnType<import('./load.mjs').createLoad>} run.load
 * @param {Record<string, unknown>} run.facts about the run: seed, seconds, what was broken on purpose
 * @returns {Record<string, unknown>} what `--json` writes
 */
export const reportOf = ({ inspection: { findings, numbers }, kills, load, facts }) => ({
  ...numbers,
  ...Object.fromEntries(kinds.map((kind) => [kind, findings.count(kind)])),
  kills: kills.total,
  killsBy: kills.by,
  killsUnderLoad: kills.underLoad,
  failedStarts: kills.failedStarts,
  requests: load.counts.requests,
  requestsUnanswered: load.counts.unanswered,
  requestsRepeated: load.counts.retries,
  problems: load.counts.byProblem,
  readsOwnWrites: load.reads.done,
  ...facts,
  findings: findings.all(),
})

/** @param {ReturnType<typeof reportOf>} report */
export function printReport(report) {
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
  line('kills', `${report.kills}, ${report.killsUnderLoad} of them under load`)
  for (const [name, count] of Object.entries(report.killsBy)) line(`  ${name}`, count)
  if (report.failedStarts.length) line('starts that failed', report.failedStarts.length)
  for (const kind of kinds) line(kind, report[kind])
  for (const { kind, place, count, examples } of report.findings) {
    console.log(`\n  ${count} ${kind} in ${place}, for example`)
    for (const example of examples) console.log(`    ${example}`)
  }
  console.log()
}

/** @param {string} file @param {ReturnType<typeof reportOf>} report */
export const writeReport = (file, report) => writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
