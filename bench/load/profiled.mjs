/**
 * Preloaded into a process of the system (`NODE_OPTIONS=--import=…`): writes a CPU profile when it ends. Node's own
 * `--cpu-prof` may not stand in NODE_OPTIONS.
 */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { basename, dirname, join } from 'node:path'

const session = new Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.setSamplingInterval', { interval: 500 })
session.post('Profiler.start')
process.once('exit', () => {
  // Within the process the answer comes before `post` returns.
  session.post('Profiler.stop', (error, result) => {
    if (error) return
    const main = process.argv[1] ?? 'node'
    const name = `${basename(dirname(dirname(main)))}-${basename(dirname(main))}-${process.pid}.cpuprofile`
    writeFileSync(join(process.env.ANNALS_PROFILES, name), JSON.stringify(result.profile))
  })
})
