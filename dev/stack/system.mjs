import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildAll, migrateAll } from '../commands/build.mjs'
import { installDependencies } from '../install/install.mjs'
import { prefetch, refuseTakenPorts, startStack } from './native.mjs'
import { findRunning, recordSelf } from './processes.mjs'
import { openProfile } from '../profile.mjs'
import { bold, faint } from '../terminal/progress.mjs'
import { portsOf, serviceProcesses, startServices } from './services.mjs'
import { underWay } from '../install/tools.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/**
 * From a checkout to a running system: programs, servers, build, migrations, services. What it starts is registered with `onEnd`.
 *
 * @param {object} options
 * @param {string} options.name of the profile; another than `dev` gets free ports
 * @param {import('../terminal/progress.mjs').Progress} options.progress
 * @param {AbortSignal} options.signal
 * @param {(stop: () => Promise<void>) => void} options.onEnd
 * @returns {Promise<{ profile: import('../profile.mjs').Profile, stack: import('./native.mjs').Stack,
 *   services: import('./services.mjs').Services }>}
 * @throws {Trouble}
 */
export async function bringUpSystem({ name, progress, signal, onEnd }) {
  const profile = await openProfile(name, { ports: name === 'dev' ? 'default' : 'free' })
  const other = findRunning(profile, 'start')
  if (other) {
    throw new Trouble(`The system is already running here (pid ${other.pid}).`, {
      remedy: `use it, or end it with Ctrl-C in its terminal (or \`kill ${other.pid}\`).`,
    })
  }
  recordSelf(profile, 'start')
  onEnd(async () => rmSync(join(profile.pids, 'start.json'), { force: true }))
  await refuseTakenPorts(
    profile,
    serviceProcesses.map((each) => ({ ...each, ports: portsOf(each) })),
  )

  console.log(bold('Programs'))
  await settled([installDependencies(progress), prefetch(profile, progress)])
  signal.throwIfAborted()

  console.log(bold('\nServers'))
  progress.begin('Build')
  const built = buildAll(profile).then(() => progress.done('Build'))
  const starting = startStack({ profile: name, engine: 'auto', built, progress, signal })
  onEnd(async () => (await starting.catch(() => undefined))?.stop())
  await settled([built, starting])
  const stack = await starting
  progress.begin('Migrations')
  await migrateAll(stack)
  progress.done('Migrations')

  console.log(bold('\nServices'))
  const services = await startServices(stack, { progress, signal })
  onEnd(async () => {
    console.log(faint('\nStopping, in order …'))
    await services.stop()
  })
  return { profile, stack, services }
}

/** Like Promise.all, but when one fails the programs that the others wait for are ended, and nothing goes on unseen. */
async function settled(promises) {
  const failures = []
  const fail = (error) => {
    failures.push(error)
    for (const child of underWay) child.kill()
  }
  await Promise.all(promises.map((promise) => promise.catch(fail)))
  if (failures.length > 0) throw failures[0]
}
