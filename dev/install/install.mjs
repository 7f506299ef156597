import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, shown } from '../profile.mjs'
import { run, which } from './tools.mjs'
import { Trouble } from '../terminal/trouble.mjs'

const log = join(root, '.annals', 'install.log')

/** @returns {boolean} whether node_modules holds what package-lock.json asks for */
function isInstalled() {
  // npm keeps this list of what it has put there.
  const present = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(present)) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const got = JSON.parse(readFileSync(present, 'utf8')).packages
  return Object.entries(wanted).every(
    ([path, { version, link, optional }]) =>
      !path.startsWith('node_modules/') || link || (optional && !got[path]) || got[path]?.version === version,
  )
}

/**
 * Installs npm dependencies when something is missing or out of date: exactly the lock in a fresh clone, the difference where a
 * node_modules exists.
 *
 * @param {import('../terminal/progress.mjs').Progress} progress
 */
export async function installDependencies(progress) {
  refuseOldNode()
  if (isInstalled()) return
  const title = 'npm packages'
  progress.begin(title, 'installing')
  const npm = which('npm')
  if (!npm) throw new Trouble('npm was not found.', { remedy: 'install Node with npm (https://nodejs.org).' })
  const fresh = !existsSync(join(root, 'node_modules'))
  const args = [fresh ? 'ci' : 'install', '--no-audit', '--no-fund', '--loglevel=error']
  await run(npm, args, {
    cwd: root,
    log,
    what: `npm ${args[0]}`,
    remedy: 'check the connection to the npm registry, then try again.',
    timeoutMs: 600_000,
  })
  if (!isInstalled()) {
    throw new Trouble('npm ended well, but node_modules is not what package-lock.json asks for.', {
      remedy: 'remove node_modules and try again.',
      log: shown(log),
    })
  }
  progress.done(title, `installed from package-lock.json`)
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new Trouble(`Node ${process.versions.node} is too old: 20.19 or later is needed.`, {
    remedy: 'install the current LTS (https://nodejs.org).',
  })
}
