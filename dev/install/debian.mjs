import { run, which } from './tools.mjs'
import { shown } from '../profile.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/**
 * Installs a Debian package, where this is Debian and we are root.
 *
 * @param {string} name
 * @param {{ program: string, log: string, say: (text: string) => void }} options `program` is what a person calls it
 * @throws {Trouble} elsewhere, with what to do instead
 */
export async function installDebianPackage(name, { program, log, say }) {
  const apt = which('apt-get')
  if (!apt || process.getuid?.() !== 0) {
    throw new Trouble(`${program} was not found on this machine.`, {
      remedy: apt ? `\`sudo apt-get install ${name}\`` : `install ${program}, or start a Docker engine.`,
    })
  }
  say(`installing Debian's ${name}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const remedy = `try \`apt-get update && apt-get install ${name}\` by hand.`
  // Another apt may be at work (a fresh machine updates itself): wait for it, but not for ever.
  const patience = ['-o', 'DPkg::Lock::Timeout=120']
  const options = { env, log, remedy, timeoutMs: 180_000 }
  await run(apt, ['update', '-q', ...patience], { ...options, what: 'apt-get update' })
  await run(apt, ['install', '-y', '-q', '--no-install-recommends', ...patience, name], {
    ...options,
    what: `Installing Debian's ${name} (log ${shown(log)})`,
  })
}
