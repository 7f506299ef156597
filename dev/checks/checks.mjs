import { join } from 'node:path'
import { turboEnvironment } from '../commands/build.mjs'
import { root } from '../profile.mjs'
import { bin, runNode } from './run-node.mjs'

/** Beyond it a check has hung: the slowest takes a minute. */
const checkMsMax = 10 * 60_000

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
  const onOutput = (text) => lines.push(text)
  const code = await runNode(args, { signal, env: turboEnvironment, timeoutMs: checkMsMax, onOutput })
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
