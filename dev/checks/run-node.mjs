import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from '../profile.mjs'

/** @param {string} path below `node_modules` */
export const bin = (path) => join(root, 'node_modules', path)

/** How long a program that was told to end may take, in ms; then it is killed. */
const endMsMax = 20_000

/** How long output is waited for after a program's end, in ms. */
const outputMsMax = 2_000

/**
 * Runs a program of Node's in the root folder.
 *
 * @param {string[]} args
 * @param {object} options
 * @param {Record<string, string | undefined>} options.env
 * @param {AbortSignal} options.signal ends the program, and rejects
 * @param {number} options.timeoutMs after it the program is told to end, and killed where it does not
 * @param {(text: string, stream: 'stdout' | 'stderr') => void} options.onOutput
 * @param {AbortSignal} [options.enough] ends the program, as at the end of its time
 * @returns {Promise<number | string>} its exit code, or the signal that ended it
 */
export async function runNode(args, { env, signal, timeoutMs, onOutput, enough }) {
  signal.throwIfAborted()
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  for (const name of /** @type {const} */ (['stdout', 'stderr']))
    child[name].setEncoding('utf8').on('data', (text) => onOutput(text, name))
  let killing
  const end = () => {
    child.kill('SIGTERM')
    killing ??= setTimeout(() => child.kill('SIGKILL'), endMsMax)
  }
  const overdue = setTimeout(end, timeoutMs)
  for (const reason of [signal, enough]) reason?.addEventListener('abort', end, { once: true })
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    const done = (status, name) => resolve(status ?? name)
    child.once('close', done)
    // What a program has left running may hold its output open for ever.
    child.once('exit', (status, name) => setTimeout(done, outputMsMax, status, name).unref())
  })
  clearTimeout(overdue)
  clearTimeout(killing)
  signal.removeEventListener('abort', end)
  signal.throwIfAborted()
  return code
}
