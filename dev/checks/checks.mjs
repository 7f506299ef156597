import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { turboEnvironment } from '../commands/build.mjs'
import { root } from '../profile.mjs'
import { bold } from '../terminal/progress.mjs'

const bin = (path) => join(root, 'node_modules', path)

/** Beyond it a step has hung: on an idle machine all of `npm test` takes less, on a busy one a step may take twice that. */
const stepTimeoutMs = 12 * 60_000

/** What a failed check prints at most; all of it appears when it is run alone. */
const outputLinesMax = 60

/** Each is a program that ends with 0. @type {{ part: 'lint' | 'types', title: string, args: string[] }[]} */
export const checks = [
  { part: 'lint', title: 'Folder boundaries', args: [join(root, 'dev/checks/boundaries.mjs')] },
  { part: 'lint', title: 'Compose file', args: [join(root, 'dev/checks/compose-check.mjs')] },
  { part: 'lint', title: 'Pipeline', args: [join(root, 'dev/checks/workflow-check.mjs')] },
  { part: 'lint', title: 'Alarms and runbooks', args: [join(root, 'dev/checks/alerts-check.mjs')] },
  { part: 'lint', title: 'Names of metrics', args: [join(root, 'dev/checks/metrics-check.mjs')] },
  { part: 'lint', title: 'Prose and decisions', args: [join(root, 'dev/checks/prose.mjs')] },
  { part: 'lint', title: 'Lint (oxlint)', args: [bin('oxlint/bin/oxlint'), '--deny-warnings'] },
  {
    part: 'lint',
    title: 'Format (prettier)',
    args: [bin('prettier/bin/prettier.cjs'), '--check', '.', '--log-level=warn', '--cache'],
  },
  {
    part: 'types',
    title: 'Build and types',
    args: [bin('turbo/bin/turbo'), 'run', 'typecheck', '--output-logs=errors-only', '--continue'],
  },
  { part: 'types', title: 'Event schemas', args: [join(root, 'dev/commands/contracts.mjs'), 'check'] },
  { part: 'types', title: 'API documents', args: [join(root, 'dev/commands/contracts.mjs'), 'docs', '--check'] },
]

/**
 * @param {{ title: string, args: string[] }} check
 * @param {{ progress: import('../terminal/progress.mjs').Progress, signal: AbortSignal }} options
 * @returns {Promise<{ passed: number, failed: number }>} one of them is 1
 */
export async function runCheck({ title, args }, { progress, signal }) {
  progress.begin(title)
  const lines = []
  const code = await runNode(args, { signal, env: turboEnvironment, onOutput: (text) => lines.push(text) })
  if (code === 0) {
    progress.done(title)
    return { passed: 1, failed: 0 }
  }
  progress.failed(title, `ended with ${code}`)
  const output = lines.join('').trimEnd().split('\n')
  for (const line of output.slice(0, outputLinesMax)) progress.print(`     ${line}`)
  if (output.length > outputLinesMax) progress.print(`     … and ${output.length - outputLinesMax} lines more`)
  return { passed: 0, failed: 1 }
}

/**
 * Runs one of Jest's projects, its own report on the terminal.
 *
 * @param {string} project `unit`, `integration` or `e2e`
 * @param {{ env: Record<string, string | undefined>, args: string[], signal: AbortSignal }} options `args` go to Jest
 * @returns {Promise<{ passed: number, failed: number }>} failed counts a file that does not load, and a skipped test, as one
 */
export async function runJest(project, { env, args, signal }) {
  console.log(`\n${bold(`Tests: ${project}`)}`)
  const folder = mkdtempSync(join(tmpdir(), 'annals-jest-'))
  const report = join(folder, 'report.json')
  const flags = ['--selectProjects', project, '--ci', '--maxWorkers=2', '--json', `--outputFile=${report}`]
  try {
    const code = await runNode([bin('jest/bin/jest.js'), ...flags, ...args], { signal, env })
    const result = JSON.parse(readFileSync(report, 'utf8'))
    const skipped = result.numPendingTests + result.numTodoTests
    if (skipped > 0) console.log(`${skipped} skipped or unwritten tests count as failed.`)
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites + skipped
    return { passed: result.numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (error.code !== 'ENOENT') throw error
    console.log(`Jest ended without a report of the ${project} tests.`)
    return { passed: 0, failed: 1 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Its stdout (Jest's JSON) is dropped when `onOutput` is missing; stderr goes to ours.
 *
 * @param {string[]} args
 * @param {{ env: Record<string, string | undefined>, signal: AbortSignal, onOutput?: (text: string) => void }} options
 * @returns {Promise<number | string>} its exit code, or the signal that ended it
 */
async function runNode(args, { env, signal, onOutput }) {
  signal.throwIfAborted()
  const child = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', onOutput ? 'pipe' : 'ignore', onOutput ? 'pipe' : 'inherit'],
    timeout: stepTimeoutMs,
  })
  if (onOutput) for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => onOutput(String(chunk)))
  const end = () => child.kill('SIGTERM')
  signal.addEventListener('abort', end, { once: true })
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, name) => resolve(status ?? name))
  })
  signal.removeEventListener('abort', end)
  signal.throwIfAborted()
  return code
}
