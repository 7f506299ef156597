/** `npm test`: every check, from nothing, on a stack of its own that is removed afterwards. */
import { cpSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildAll } from './build.mjs'
import { checks, runCheck } from '../checks/checks.mjs'
import { removeContainers } from '../stack/docker.mjs'
import { installDependencies } from '../install/install.mjs'
import { withLifetime } from '../stack/lifetime.mjs'
import { runJest } from '../jest/run.mjs'
import { startStack, stopServers } from '../stack/native.mjs'
import { openProfile, removeProfile, root, shown } from '../profile.mjs'
import { timesReport } from '../terminal/durations.mjs'
import { bold, Progress } from '../terminal/progress.mjs'
import { explain, Trouble } from '../terminal/trouble.mjs'

const partNames = ['lint', 'types', 'unit', 'integration', 'e2e']
const usage = `npm test [-- --only <part,…>] [-- <anything for Jest>]

  --only <part,…>     of ${partNames.join(', ')}; default: all
  --record-durations  record how long each file takes, so that a fresh clone begins with the longest
  --help

  npm test -- --only unit contracts/    tests of one folder: other arguments go to Jest
`
const keptLogs = join(root, '.annals/failed-test-logs')

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    if (process.argv.includes('--help')) return { code: 0, farewell: usage }
    const { parts, args, recordsDurations } = readArguments(process.argv.slice(2))
    const begun = performance.now()
    const total = { passed: 0, failed: 0 }
    const files = []
    const times = []
    /** Runs a part, counts its tests and its time. */
    const part = async (name, work) => {
      const began = performance.now()
      const outcome = await work()
      times.push({ name, seconds: (performance.now() - began) / 1000 })
      total.passed += outcome?.passed ?? 0
      total.failed += outcome?.failed ?? 0
      files.push(...(outcome?.files ?? []))
    }
    await removeLeftovers()
    // End-to-end tests that were interrupted could not stop what they had started.
    onEnd(removeLeftovers)
    await part('packages', () => installDependencies(progress))
    const chosen = checks.filter(({ part }) => parts.includes(part))
    if (chosen.length > 0) {
      console.log(bold('Checks'))
      await part('checks', () => runChecks(chosen, { signal }))
    }
    const print = (text) => void process.stderr.write(text)
    if (parts.includes('unit')) {
      announce('unit')
      await part('unit', () => runJest('unit', { signal, args, env: process.env, workers: 2, print }))
    }
    const integration = (onReady) => part('integration', () => runIntegration({ signal, args, print, onReady }))
    // They start systems of their own.
    const systems = (options) => part('e2e', () => runJest('e2e', { signal, args, env: process.env, ...options }))
    if (parts.includes('integration') && parts.includes('e2e')) await beside(integration, systems, print)
    else if (parts.includes('integration')) await integration()
    else if (parts.includes('e2e')) {
      announce('e2e')
      await systems({ workers: 2, print })
    }
    const seconds = (performance.now() - begun) / 1000
    if (recordsDurations) recordDurations(files)
    return {
      code: total.failed === 0 && total.passed > 0 ? 0 : 1,
      farewell: [timesReport(times, files, seconds), `${total.passed} passed, ${total.failed} failed`].join('\n'),
    }
  },
  { progress },
)

function announce(name) {
  console.log(`\n${bold(`Tests: ${name}`)}`)
}

/** One after the other. @returns {Promise<{ passed: number, failed: number }>} */
async function runChecks(chosen, { signal }) {
  const total = { passed: 0, failed: 0 }
  for (const check of chosen) {
    const { passed, failed } = await runCheck(check, { progress, signal })
    total.passed += passed
    total.failed += failed
  }
  return total
}

/**
 * Integration tests, and beside them whole systems one after the other: both wait more than they work. What the second prints is
 * kept until it has ended, and printed in one piece.
 *
 * @param {(onReady: () => void) => Promise<void>} integration calls `onReady` when its servers are up
 * @param {(options: { workers: number, print: (text: string) => void }) => Promise<void>} systems
 * @param {(text: string) => void} print
 */
async function beside(integration, systems, print) {
  const kept = []
  let running
  const begin = () => {
    running ??= systems({ workers: 1, print: (text) => kept.push(text) }).finally(() => {
      announce('e2e')
      print(kept.join(''))
    })
    running.catch(() => undefined)
  }
  try {
    await integration(begin)
  } finally {
    // Servers that did not start are no reason to leave it out.
    begin()
    await running
  }
}

/** @param {import('../terminal/durations.mjs').Took[]} files */
function recordDurations(files) {
  const long = files.filter(({ seconds }) => seconds >= 5).toSorted((a, b) => b.seconds - a.seconds)
  const seconds = Object.fromEntries(long.map(({ name, seconds }) => [name, Math.round(seconds)]))
  writeFileSync(join(root, 'dev/jest/durations.json'), `${JSON.stringify(seconds, null, 2)}\n`)
}

/** @returns {{ parts: string[], args: string[], recordsDurations: boolean }} the parts to run, and what goes to Jest */
function readArguments(given) {
  const recording = '--record-durations'
  const recordsDurations = given.includes(recording)
  const args = given.filter((arg) => arg !== recording)
  const at = args.findIndex((arg) => arg === '--only' || arg.startsWith('--only='))
  if (at === -1) return { parts: partNames, args, recordsDurations }
  const [flag] = args.splice(at, 1)
  const parts = (flag === '--only' ? (args.splice(at, 1)[0] ?? '') : flag.slice('--only='.length)).split(',')
  const unknown = parts.find((part) => !partNames.includes(part))
  if (unknown !== undefined) throw new Trouble(`--only takes ${partNames.join(', ')}; not "${unknown}".`)
  return { parts, args, recordsDurations }
}

/** On servers that are removed afterwards, whatever happens; their logs stay when something failed. */
async function runIntegration({ signal, args, print, onReady = () => undefined }) {
  console.log(`\n${bold('Servers for the integration tests')}`)
  const name = `test-${process.pid}`
  const profile = await openProfile(name, { ports: 'free' })
  let result = { passed: 0, failed: 1, files: [] }
  try {
    // Tests of processes run what is built.
    progress.begin('Build')
    await buildAll(profile)
    progress.done('Build')
    const { env } = await startStack({ profile: name, engine: 'auto', progress, signal })
    // A cheaper hash, because tests log in a lot.
    const forTests = { ...process.env, ...env, BCRYPT_COST: '10', LOG_LEVEL: 'error' }
    announce('integration')
    onReady()
    result = await runJest('integration', { signal, args, env: forTests, workers: 2, print })
  } catch (error) {
    signal.throwIfAborted()
    console.error(`\n${explain(error)}`)
  } finally {
    await stopServers(profile)
    rmSync(keptLogs, { recursive: true, force: true })
    if (result.failed > 0) {
      cpSync(profile.logs, keptLogs, { recursive: true })
      console.log(`\nThe servers' logs of this run: ${shown(keptLogs)}`)
    }
    await removeContainers(profile)
    removeProfile(profile)
  }
  return result
}

/** Runs that were killed could not tidy up. */
async function removeLeftovers() {
  const folder = join(root, '.annals')
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const pid = Number(/^(?:test|e2e|faults)-(\d+)(?:-|$)/.exec(name)?.[1])
    if (!pid || isProcess(pid)) continue
    const profile = await openProfile(name)
    await stopServers(profile)
    await removeContainers(profile)
    removeProfile(profile)
  }
}

function isProcess(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
