import { execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { shown, writePrivately } from '../profile.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/** A log above this size is set aside (one generation) when its process starts again. */
const logBytesMax = 16 * 2 ** 20

/**
 * @typedef {object} Launch how a process is started
 * @property {string} name its pid file and log carry it
 * @property {string} command
 * @property {string[]} args
 * @property {Record<string, string | undefined>} [env] the whole environment; default: ours
 * @property {string} [cwd]
 * @property {string} [argv0]
 * @property {number} [uid]
 * @property {number} [gid]
 * @property {NodeJS.Signals} [stopSignal] asks it to end in good order; default SIGTERM
 *
 * @typedef {object} Running
 * @property {string} name
 * @property {number} pid
 * @property {string} birth tells this process from a later one with the same pid
 * @property {NodeJS.Signals} stopSignal
 * @property {Promise<number | NodeJS.Signals>} [exited] exit code, or the signal that ended it; known to who started it
 */

/**
 * Starts a process in a session of its own: Ctrl-C in the terminal does not reach it, and it is stopped in order. Its
 * output goes to the profile's log. Its pid is recorded, so that another command can find and stop it.
 *
 * @param {import('../profile.mjs').Profile} profile
 * @param {Launch} launch
 * @returns {Promise<Running>}
 */
export async function launch(
  profile,
  { name, command, args, env = process.env, cwd, argv0, uid, gid, stopSignal = 'SIGTERM' },
) {
  const log = logOf(profile, name)
  if (existsSync(log) && statSync(log).size > logBytesMax) renameSync(log, `${log}.1`)
  const output = openSync(log, 'a')
  const child = spawn(command, args, { env, cwd, argv0, uid, gid, detached: true, stdio: ['ignore', output, output] })
  closeSync(output)
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) =>
      reject(new Trouble(`${name} could not be started: ${cause.message}.`, { log: shown(log), cause })),
    )
  })
  child.unref()
  const running = { name, pid: child.pid, birth: birthOf(child.pid) ?? 'unknown', stopSignal }
  writePrivately(pidFile(profile, name), JSON.stringify(running))
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
  return { ...running, exited }
}

/** Records this very process, so that a second one can see it. @param {import('../profile.mjs').Profile} profile @param {string} name */
export function recordSelf(profile, name) {
  const self = { name, pid: process.pid, birth: birthOf(process.pid) ?? 'unknown', stopSignal: 'SIGTERM' }
  writePrivately(pidFile(profile, name), JSON.stringify(self))
}

/** @param {import('../profile.mjs').Profile} profile @param {string} name @returns {Running | undefined} when it is alive */
export function findRunning(profile, name) {
  const file = pidFile(profile, name)
  if (!existsSync(file)) return undefined
  const running = JSON.parse(readFileSync(file, 'utf8'))
  return isAlive(running) ? running : undefined
}

/** @param {import('../profile.mjs').Profile} profile @returns {Running[]} all that live, in no order */
export const allRunning = (profile) =>
  readdirSync(profile.pids)
    .filter((file) => file.endsWith('.json'))
    .map((file) => findRunning(profile, file.slice(0, -'.json'.length)))
    .filter((running) => running !== undefined)

/** @param {Running} running @returns {boolean} */
const isAlive = ({ pid, birth }) => birthOf(pid) === birth

/**
 * Asks a process to end and waits for it; after `timeoutMs` it is killed. The pid file goes with it.
 *
 * @param {import('../profile.mjs').Profile} profile
 * @param {Running} running
 * @param {{ timeoutMs?: number, signal?: NodeJS.Signals }} [options]
 * @returns {Promise<'stopped' | 'killed'>}
 */
export async function stop(profile, running, { timeoutMs = 15_000, signal = running.stopSignal } = {}) {
  /** @type {'stopped' | 'killed'} */
  let outcome = signal === 'SIGKILL' ? 'killed' : 'stopped'
  sendSignal(running, signal)
  const deadline = Date.now() + timeoutMs
  while (isAlive(running)) {
    if (Date.now() > deadline && outcome === 'stopped') {
      sendSignal(running, 'SIGKILL')
      outcome = 'killed'
    }
    if (Date.now() > deadline + 10_000) throw new Trouble(`${running.name} (pid ${running.pid}) does not end.`)
    await delay(20)
  }
  rmSync(pidFile(profile, running.name), { force: true })
  return outcome
}

/** Does nothing when the process has ended. @param {Running} running @param {NodeJS.Signals} signal */
export function sendSignal(running, signal) {
  if (!isAlive(running)) return
  try {
    process.kill(running.pid, signal)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/**
 * Waits until `check` resolves; what it throws means "not yet".
 *
 * @param {import('../profile.mjs').Profile} profile
 * @param {Running} running a process that ends while we wait is a failure at once
 * @param {() => Promise<unknown>} check
 * @param {{ timeoutMs?: number, signal?: AbortSignal, remedy?: string }} [options] `remedy` for a process that ends at once
 */
export async function waitReady(profile, running, check, { timeoutMs = 30_000, signal, remedy } = {}) {
  const log = logOf(profile, running.name)
  const deadline = Date.now() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    let reason
    try {
      await check()
      return
    } catch (error) {
      reason = error
    }
    if (!isAlive(running)) {
      throw new Trouble(`${running.name} ended while it was starting${lastWords(log)}`, {
        remedy: remedy ?? 'read its log.',
        log: shown(log),
        cause: reason,
      })
    }
    if (Date.now() > deadline) {
      throw new Trouble(`${running.name} was not ready after ${timeoutMs / 1000} s (${reason?.message ?? reason}).`, {
        remedy: 'read the log, then try again.',
        log: shown(log),
        cause: reason,
      })
    }
    await delay(50)
  }
}

/** @param {import('../profile.mjs').Profile} profile @param {string} name */
export const logOf = (profile, name) => join(profile.logs, `${name}.log`)

const pidFile = (profile, name) => join(profile.pids, `${name}.json`)

/** The last line of a log that says something, for the one sentence of an error. */
function lastWords(log) {
  const lines = readFileSync(log, 'utf8').slice(-4000).trim().split('\n')
  const line =
    lines.findLast((text) => /error|fatal|refused|denied|cannot|failed|exception/i.test(text)) ?? lines.at(-1)
  return line ? `: ${messageOf(line.trim()).slice(0, 300)}` : '.'
}

/** Our services log JSON; a person wants its message. */
function messageOf(line) {
  try {
    const { msg, err } = JSON.parse(line)
    return [msg, err?.message].filter(Boolean).join(': ') || line
  } catch {
    return line
  }
}

/** When the process began, in whatever form the system tells it; undefined when it has ended (a zombie has, too). */
function birthOf(pid) {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
    }
    const [state, ...start] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(/\s+/)
    return state.startsWith('Z') ? undefined : start.join(' ')
  } catch {
    return undefined
  }
}
