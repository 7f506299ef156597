/** `npm test`: every check, from nothing, on a stack of its own that is removed afterwards. */
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildAll } from './build.mjs'
import { checks, runCheck, runJest } from '../checks/checks.mjs'
import { removeContainers } from '../stack/docker.mjs'
import { installDependencies } from '../install/install.mjs'
import { withLifetime } from '../stack/lifetime.mjs'
import { startStack, stopServers } from '../stack/native.mjs'
import { openProfile, removeProfile, root, shown } from '../profile.mjs'
import { bold, Progress } from '../terminal/progress.mjs'
import { explain, Trouble } from '../terminal/trouble.mjs'

const partNames = ['lint', 'types', 'unit', 'integration', 'e2e']
const usage = `npm test [-- --only <part,…>] [-- <anything for Jest>]

  --only <part,…>  of ${partNames.join(', ')}; default: all
  --help

  npm test -- --only unit contracts/    tests of one folder: the rest goes to Jest
`
const keptLogs = join(root, '.annals/failed-test-logs')

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    if (process.argv.includes('--help')) return { code: 0, farewell: usage }
    const { parts, args } = readArguments(process.argv.slice(2))
    const begun = performance.now()
    const total = { passed: 0, failed: 0 }
    const count = ({ passed, failed }) => {
      total.passed += passed
      total.failed += failed
    }
    await removeLeftovers()
    // End-to-end tests that were interrupted could not stop what they had started.
    onEnd(removeLeftovers)
    await installDependencies(progress)
    const chosen = checks.filter(({ part }) => parts.includes(part))
    if (chosen.length > 0) console.log(bold('Checks'))
    for (const check of chosen) count(await runCheck(check, { progress, signal }))
    if (parts.includes('unit')) count(await runJest('unit', { signal, args, env: process.env }))
    if (parts.includes('integration')) count(await runIntegration({ signal, args }))
    // They start systems of their own.
    if (parts.includes('e2e')) count(await runJest('e2e', { signal, args, env: process.env }))
    const seconds = Math.round((performance.now() - begun) / 1000)
    return {
      code: total.failed === 0 && total.passed > 0 ? 0 : 1,
      farewell: `\nTook ${Math.floor(seconds / 60)} min ${seconds % 60} s.\n${total.passed} passed, ${total.failed} failed`,
    }
  },
  { progress },
)

/** @returns {{ parts: string[], args: string[] }} the parts to run, and what goes to Jest */
function readArguments(given) {
  const args = [...given]
  const at = args.findIndex((arg) => arg === '--only' || arg.startsWith('--only='))
  if (at === -1) return { parts: partNames, args }
  const [flag] = args.splice(at, 1)
  const parts = (flag === '--only' ? (args.splice(at, 1)[0] ?? '') : flag.slice('--only='.length)).split(',')
  const unknown = parts.find((part) => !partNames.includes(part))
  if (unknown !== undefined) throw new Trouble(`--only takes ${partNames.join(', ')}; not "${unknown}".`)
  return { parts, args }
}

/** On servers that are removed afterwards, whatever happens; their logs stay when something failed. */
async function runIntegration({ signal, args }) {
  console.log(`\n${bold('Servers for the integration tests')}`)
  const name = `test-${process.pid}`
  const profile = await openProfile(name, { ports: 'free' })
  let result = { passed: 0, failed: 1 }
  try {
    // Tests of processes run what is built.
    progress.begin('Build')
    await buildAll(profile)
    progress.done('Build')
    const { env } = await startStack({ profile: name, engine: 'auto', progress, signal })
    // A cheaper hash, because tests log in a lot.
    const forTests = { ...process.env, ...env, BCRYPT_COST: '10', LOG_LEVEL: 'error' }
    result = await runJest('integration', { signal, args, env: forTests })
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
