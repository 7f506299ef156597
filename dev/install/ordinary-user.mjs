import { chownSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { which } from './tools.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/**
 * PostgreSQL refuses to run as root. Where we are root, it runs as `postgres` (or `nobody`, which every Unix has), and the data
 * directory is theirs.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {string[]} places paths the command has to reach
 * @returns {{ command: string, args: string[], uid?: number, gid?: number, env: Record<string, string | undefined> }}
 * @throws {Trouble} when a folder above those places is closed to everyone but root, and cannot be opened for this process alone
 */
export function asOrdinaryUser(command, args, places) {
  const user = ordinaryUser()
  // Neither locale nor PG* variables of the caller's shell belong to this server.
  const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC', HOME: '/' }
  if (!user) return { command, args, env }
  const closed = places.map(closedFolder).find(Boolean)
  if (!closed) return { command, args, env, uid: user.uid, gid: user.gid }
  // A checkout under /root: the capability to pass closed folders goes along, and nothing else of root.
  const setpriv = which('setpriv')
  if (!setpriv) {
    throw new Trouble(`PostgreSQL cannot run as root, and ${closed} is closed to every other user.`, {
      remedy: `move the checkout to a place others can read (for example /srv), or work as an ordinary user.`,
    })
  }
  const ids = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
  const capability = [
    '--inh-caps=-all,+dac_override',
    '--ambient-caps=-all,+dac_override',
    '--bounding-set=-all,+dac_override',
  ]
  // access(2) asks with the real user's capabilities, which the kernel clears unless told to leave them: initdb needs that.
  const bits = '--securebits=+no_setuid_fixup'
  return { command: setpriv, args: [bits, ...ids, ...capability, command, ...args], env }
}

/** Gives a path to the user PostgreSQL runs as. @param {string} path */
export function handOver(path) {
  const user = ordinaryUser()
  if (user) chownSync(path, user.uid, user.gid)
}

function ordinaryUser() {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (!user) throw new Trouble('PostgreSQL cannot run as root, and this system has neither a user postgres nor nobody.')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

/** @returns {string | undefined} the nearest folder above `path` that others may not enter */
function closedFolder(path) {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return folder
    if (folder === dirname(folder)) return undefined
  }
}
