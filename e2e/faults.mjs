/**
 * `npm run test:faults`: does the system harm while people use it, and then asks whether each promise was kept. README.md says
 * what each check proves.
 */
import { buildAll } from '../dev/commands/build.mjs'
import { installDependencies } from '../dev/install/install.mjs'
import { withLifetime } from '../dev/stack/lifetime.mjs'
import { openProfile } from '../dev/profile.mjs'
import { Progress } from '../dev/terminal/progress.mjs'
import { readOptions, usage } from './faults/options.mjs'

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    const options = readOptions(process.argv.slice(2))
    if (options.help) return { code: 0, farewell: usage }
    await installDependencies(progress)
    const profile = await openProfile(`faults-${process.pid}`, { ports: 'free' })
    await buildAll(profile)
    // What needs npm's packages or a build is loaded once they are there.
    const { runFaults } = await import('./faults/run.mjs')
    return runFaults(profile.name, options, { progress, signal, onEnd })
  },
  { progress },
)
