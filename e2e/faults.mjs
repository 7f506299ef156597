/**
 * `npm run test:faults`: does the system harm while people use it, and then asks whether each promise was kept. README.md says
 * what each check proves.
 *
 *   -- --only <scenarios>  default: all, one after the other
 *        processes         kills every process of the system in turn, and two of its servers
 *        rebuild           rebuilds read models of a long log, and kills the rebuilds
 *        servers           kills, freezes and restarts the servers: of three Kafka nodes a leader every 10 s, the others in turn
 *   -- --commands 3000     acknowledged commands before the load ends
 *   -- --kills 10          kills of each of relay, projector, notifier, command API, event store and Kafka
 *   -- --minutes 5         servers: how long faults begin
 *   -- --targets <names>   kills only these of them: relay, projector, notifier, command, eventstore, kafka
 *   -- --events 200000     rebuild: events of the past in the log
 *   -- --rebuilds 100      rebuild: how many, each killed at least once
 *   -- --json <file>       the report, for programs; of several scenarios: each under its name
 *   -- --seed 7            repeats the order of commands and kills of an earlier run
 *   -- --break <promise>   breaks one promise on purpose after the run: the exit code has to be 1
 *   -- --self-check        breaks them all, one after the other, and fails unless the check finds each
 *   -- --keep              leaves data and logs
 */
import { buildAll } from '../dev/build.mjs'
import { installDependencies } from '../dev/install.mjs'
import { withLifetime } from '../dev/lifetime.mjs'
import { openProfile } from '../dev/profile.mjs'
import { Progress } from '../dev/progress.mjs'
import { readOptions } from './faults/options.mjs'

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    const options = readOptions(process.argv.slice(2))
    await installDependencies(progress)
    const profile = await openProfile(`faults-${process.pid}`, { ports: 'free' })
    await buildAll(profile)
    // What needs npm's packages or a build is loaded once they are there.
    const { runFaults } = await import('./faults/run.mjs')
    return runFaults(profile.name, options, { progress, signal, onEnd })
  },
  { progress },
)
