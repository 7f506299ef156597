import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readEnvironment } from '../stack/environment.mjs'
import { openProfile, profileExists, root } from '../profile.mjs'
import { bold } from '../terminal/progress.mjs'
import { explain, Trouble } from '../terminal/trouble.mjs'

/**
 * Runs a service's command line against the running stack, with the arguments of this process.
 *
 * @param {string} file built program, from the repository's root
 * @param {string} what names it in a sentence: "The replay CLI"
 */
export async function runServiceCli(file, what) {
  const program = join(root, file)
  try {
    const name = process.env.ANNALS_PROFILE ?? 'dev'
    if (!profileExists(name)) throw new Trouble('Nothing was ever started here.', { remedy: '`npm start` first.' })
    if (!existsSync(program)) throw new Trouble(`${what} is not built.`, { remedy: '`npm run build` first.' })
    // Variables of the caller's shell win: with them the CLI works on any other system, too.
    const env = { ...readEnvironment(await openProfile(name)), ...process.env }
    const child = spawn(process.execPath, ['--enable-source-maps', program, ...process.argv.slice(2)], {
      stdio: 'inherit',
      env,
    })
    // The terminal's Ctrl-C reaches the CLI too, which ends in order; we wait for that.
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal))
    process.exitCode = await new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)))
  } catch (error) {
    console.error(`${bold('Stopped.')} ${explain(error)}`)
    process.exitCode = 1
  }
}
