import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findRunning } from '../dev/stack/processes.mjs'
import { root } from '../dev/profile.mjs'

/** Linux counts a process's time in these; it has been 100 on every architecture for twenty years. */
const ticksPerSecond = 100
/** A command line of ours that runs longer hangs. */
const cliMsMax = 60_000

/**
 * @param {import('../dev/profile.mjs').Profile} profile
 * @param {string} name of a running service or server
 * @returns {number} seconds of CPU that it has used
 */
export function cpuSecondsOf(profile, name) {
  const { pid } = findRunning(profile, name)
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the program's name in parentheses, and may hold spaces; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/**
 * Runs one of the system's command lines to its end.
 *
 * @param {string} program path from the root
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @returns {Promise<string>} what it printed
 * @throws when it ends with another code than 0, its error output in the message
 */
export async function runProgram(program, args, env) {
  const options = { env: { ...process.env, ...env }, timeout: cliMsMax }
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, program), ...args], options)
  return stdout
}

/**
 * Starts one of the system's command lines beside whatever else goes on.
 *
 * @param {string} program path from the root
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @param {number} [withinMs] then it is asked to end
 * @returns {Promise<{ code: number | null, output: string }>} when it has ended
 */
export function startProgram(program, args, env, withinMs = cliMsMax) {
  const options = { env: { ...process.env, ...env }, timeout: withinMs, stdio: ['ignore', 'pipe', 'pipe'] }
  const child = spawn(process.execPath, [join(root, program), ...args], options)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })))
}
