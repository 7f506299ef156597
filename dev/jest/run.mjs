import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { bin, runNode } from '../checks/run-node.mjs'
import { root } from '../profile.mjs'

/** Beyond it a project has hung: on an idle machine it takes a third of that. */
const projectMsMax = 25 * 60_000

/** How much of the end of Jest's output is looked through at a time: longer than any of its sayings. */
const heardMax = 1_000

/** What Jest says when a test has left something open, and counts as passed. */
const killedWorker = 'A worker process has failed to exit gracefully'
const didNotEnd = 'Jest did not exit'

/**
 * How a run of one of Jest's projects went.
 *
 * @typedef {object} Outcome
 * @property {number} passed tests
 * @property {number} failed tests; a file that does not load, a skipped test, a killed worker, a Jest that does not end or that
 *   leaves no report counts as one each
 * @property {{ name: string, seconds: number }[]} files what each file of tests took
 */

/**
 * @param {string} project `unit`, `integration` or `e2e`
 * @param {object} options
 * @param {Record<string, string | undefined>} options.env
 * @param {string[]} options.args go to Jest
 * @param {number} options.workers
 * @param {AbortSignal} options.signal
 * @param {(text: string) => void} options.print gets Jest's own report as it comes
 * @param {string[]} [options.jest] the program; default: ours
 * @returns {Promise<Outcome>}
 */
export async function runJest(project, { env, args, workers, signal, print, jest = [bin('jest/bin/jest.js')] }) {
  const folder = mkdtempSync(join(tmpdir(), 'annals-jest-'))
  const report = join(folder, 'report.json')
  const diary = join(folder, 'diary.ndjson')
  const flags = ['--selectProjects', project, '--ci', `--maxWorkers=${workers}`, '--json', `--outputFile=${report}`]
  const reporters = ['--reporters=default', `--reporters=${join(import.meta.dirname, 'diary.cjs')}`]
  const enough = new AbortController()
  const faults = new Set()
  let heard = ''
  try {
    // Jest's arguments come first: an option that takes several values would eat them.
    const code = await runNode([...jest, ...args, ...flags, ...reporters], {
      signal,
      enough: enough.signal,
      timeoutMs: projectMsMax,
      env: { ...env, ANNALS_TEST_DIARY: diary },
      onOutput(text, stream) {
        // Its stdout has what tests print.
        if (stream === 'stdout') return
        print(text)
        heard = (heard + text).slice(-heardMax - text.length)
        if (heard.includes(killedWorker)) faults.add('A worker had to be killed: a test has left something open.')
        if (!heard.includes(didNotEnd)) return
        faults.add('Jest did not end: a test has left something open.')
        enough.abort()
      },
    })
    const outcome = existsSync(report) ? outcomeOf(JSON.parse(readFileSync(report, 'utf8'))) : nothing
    if (outcome === nothing)
      faults.add(`Jest ended (${code}) without a report of the ${project} tests. ${runningBy(diary)}`)
    if (outcome.skipped > 0) print(`${outcome.skipped} skipped or unwritten tests count as failed.\n`)
    for (const fault of faults) print(`${fault}\n`)
    const failed = outcome.failed + outcome.skipped + faults.size
    return { passed: outcome.passed, failed: failed === 0 && code !== 0 ? 1 : failed, files: outcome.files }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const nothing = { passed: 0, failed: 0, skipped: 0, files: [] }

/** @param {any} report as `jest --json` writes it */
const outcomeOf = (report) => ({
  passed: report.numPassedTests,
  failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
  skipped: report.numPendingTests + report.numTodoTests,
  files: report.testResults.map(({ name, startTime, endTime }) => ({
    name: relative(root, name),
    seconds: (endTime - startTime) / 1000,
  })),
})

/** @param {string} diary as `diary.cjs` writes it @returns {string} a sentence: which files had begun and not ended */
function runningBy(diary) {
  const running = new Set()
  for (const line of existsSync(diary) ? readFileSync(diary, 'utf8').split('\n').filter(Boolean) : []) {
    const { began, ended } = JSON.parse(line)
    if (began) running.add(began)
    else running.delete(ended)
  }
  return running.size === 0 ? 'No file was running.' : `Running were ${[...running].join(', ')}.`
}
