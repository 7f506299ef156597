/** `npm run bench`: what the system does in a second, beside what its servers can do bare. README.md tells how. */
import { writeFileSync } from 'node:fs'
import { withLifetime } from '../dev/stack/lifetime.mjs'
import { bold, Progress } from '../dev/terminal/progress.mjs'
import { readOptions, usage } from './options.mjs'

const progress = new Progress()
await withLifetime(
  async (lifetime) => {
    const options = readOptions(process.argv.slice(2))
    if (options.help) return { code: 0, farewell: usage }
    // What needs npm's packages or a build is loaded once they are there.
    const { openScene, refuseWithoutRoom } = await import('./scene.mjs')
    refuseWithoutRoom(options)
    const begunAt = performance.now()
    const first = await openScene({ ...lifetime, progress }, options)
    const { measure } = await import('./measure.mjs')
    const { report } = await import('./report.mjs')
    console.log(`\n${bold('Measuring')}`)
    const { figures, machine } = await measure(first, options, (servers) =>
      openScene({ ...lifetime, progress }, { ...options, skipBuild: true }, servers),
    )
    machine.minutes = Math.round((performance.now() - begunAt) / 6_000) / 10
    if (options.json) writeFileSync(options.json, `${JSON.stringify({ ...figures, machine }, null, 2)}\n`)
    return { code: 0, farewell: report(figures, machine) }
  },
  { progress },
)
