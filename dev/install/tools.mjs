import { spawn } from 'node:child_process'
import { accessSync, constants, createWriteStream, mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { stripVTControlCharacters } from 'node:util'
import { shown } from '../profile.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/** @param {string} program @param {string[]} [otherPlaces] folders beyond PATH @returns {string | undefined} its full path */
export function which(program, otherPlaces = []) {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...otherPlaces]) {
    if (!folder) continue
    const file = join(folder, program)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}

/** Programs that `run` waits for; an interrupt ends them. @type {Set<import('node:child_process').ChildProcess>} */
export const underWay = new Set()

/**
 * Runs a program to its end, its output in a log.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ log: string, what: string, remedy?: string, cwd?: string, env?: Record<string, string | undefined>, uid?: number,
 *   gid?: number, timeoutMs?: number, onLine?: (line: string) => void }} options `what` begins the sentence "… failed"
 * @returns {Promise<void>}
 * @throws {Trouble} when it ends with another code than 0, or not in time
 */
export async function run(command, args, { log, what, remedy, cwd, env, uid, gid, timeoutMs = 300_000, onLine }) {
  mkdirSync(dirname(log), { recursive: true })
  const output = createWriteStream(log, { flags: 'a' })
  const child = spawn(command, args, { cwd, env, uid, gid, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
  underWay.add(child)
  child.once('close', () => underWay.delete(child))
  // The first complaint is the cause; what follows is usually advice.
  let complaint = ''
  let last = ''
  const hear = (chunk) => {
    output.write(chunk)
    for (const line of stripVTControlCharacters(String(chunk))
      .split('\n')
      .map((text) => text.trim())
      .filter(Boolean)) {
      last = line
      if (complaint === '' && /error|fatal|failed|cannot|no space/i.test(line)) complaint = line
      onLine?.(line)
    }
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const code = await new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new Trouble(`${what} failed: ${cause.message}.`, { remedy, cause })))
    child.once('close', (status, signal) => resolve(signal ?? status))
  })
  output.end()
  await finished(output)
  if (code !== 0) {
    const reason = complaint || last
    const full = /ENOSPC|No space left on device/i.test(reason)
    throw new Trouble(`${what} failed (${code})${reason ? `: ${reason.slice(0, 200)}` : '.'}`, {
      remedy: full ? 'free some disk space (`df -h .`), then try again.' : remedy,
      log: shown(log),
    })
  }
}
