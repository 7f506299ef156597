/** `npm run bench`: what the system does in a second, beside what its servers can do bare. README.md tells how. */
import { writeFileSync } from 'node:fs'
import { withLifetime } from '../dev/lifetime.mjs'
import { bold, Progress } from '../dev/progress.mjs'
import { readOptions, usage } from './options.mjs'

const progress = new Progress()
await withLifetime(
  async (lifetime) => {
    const options = readOptions(process.argv.slice(2))
    if (options.help) return { code: 0, farewell: usage }
    // What needs npm's packages or a build is loaded once they are there.
    const { openScene } = await import('./scene.mjs')
    const scene = await openScene({ ...lifetime, progress }, options)
    const { machineFacts } = await import('./machine.mjs')
    const { measure } = await import('./measure.mjs')
    const { report } = await import('./report.mjs')
    const machine = await scene.withDatabase(scene.env.PROJECTION_DATABASE_URL, machineFacts)
    console.log(`\n${bold('Measuring')}`)
    const figures = await measure(scene, options)
    scene.finish()
    if (options.json) writeFileSync(options.json, `${JSON.stringify({ ...figures, machine }, null, 2)}\n`)
    return { code: 0, farewell: report(figures, machine) }
  },
  { progress },
)
