import { execFile } from 'node:child_process'
import { root } from '../../../dev/profile.mjs'

/** Rebuilding every read model of such a small log takes seconds. */
const commandMsMax = 120_000
const outputMax = 1_500

/**
 * Runs an operator's command as it was printed: by the shell, from the root, with the system's environment.
 *
 * @param {string} command
 * @param {Record<string, string | undefined>} env
 * @param {AbortSignal} signal
 * @returns {Promise<string>} its output
 * @throws when it ends with another code than 0, its output in the message
 */
export function runCommand(command, env, signal) {
  return new Promise((resolve, reject) => {
    const options = { cwd: root, env: { ...process.env, ...env }, timeout: commandMsMax, signal, maxBuffer: 2 ** 24 }
    execFile('sh', ['-c', command], options, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`
      if (!error) return resolve(output)
      const { code } = error
      reject(
        Object.assign(new Error(`${command} ended with ${error.signal ?? error.code}:\n${output.slice(-outputMax)}`), {
          exitCode: code,
        }),
      )
    })
  })
}
