import { explain } from '../terminal/trouble.mjs'
import { bold } from '../terminal/progress.mjs'
import { underWay } from '../install/tools.mjs'

/** Signals closer together than this are one interrupt. */
const samePressMs = 1_000

/**
 * Runs a command that starts processes, and whatever happens stops them again: when `work` ends, fails, or is interrupted
 * (Ctrl-C, SIGTERM, a closed terminal). A second Ctrl-C gives up waiting. Ends the process.
 *
 * @typedef {object} Lifetime
 * @property {AbortSignal} signal aborts at an interrupt
 * @property {(stop: () => Promise<void>) => void} onEnd registers what has to be stopped; the last registered is stopped first
 *
 * @param {(lifetime: Lifetime) => Promise<number | { code: number, farewell?: string }>} work resolves to the exit code;
 *   `farewell` is the very last line, printed when all is stopped
 * @param {{ progress?: import('../terminal/progress.mjs').Progress }} [options]
 */
export async function withLifetime(work, { progress } = {}) {
  const interrupted = new AbortController()
  const stops = []
  let interruptedAt
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      // npm passes a Ctrl-C on that the terminal has sent us, too: one press arrives twice.
      if (interruptedAt !== undefined && Date.now() - interruptedAt > samePressMs) process.exit(130)
      interruptedAt ??= Date.now()
      interrupted.abort(new Error('interrupted'))
      for (const child of underWay) child.kill()
    })
  }
  // A closed pipe (`npm test | head`) is no reason to leave servers behind.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  let code
  let farewell
  try {
    const result = await work({ signal: interrupted.signal, onEnd: (stop) => stops.push(stop) })
    ;({ code, farewell } = typeof result === 'number' ? { code: result, farewell: undefined } : result)
  } catch (error) {
    code = interrupted.signal.aborted ? 130 : 1
    progress?.close()
    if (code === 1) console.error(`\n${bold('Stopped.')} ${explain(error)}`)
    else farewell = 'Interrupted. What was started has been stopped.'
  }
  for (const stop of stops.toReversed()) {
    try {
      await stop()
    } catch (error) {
      code ||= 1
      console.error(explain(error))
    }
  }
  progress?.close()
  if (farewell) console.log(farewell)
  process.exit(code)
}

/** @param {AbortSignal} signal @returns {Promise<void>} resolves at the interrupt */
export const interruption = (signal) =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
    // A listener keeps no process alive, and this one is to stay until Ctrl-C.
    const alive = setInterval(() => {}, 2 ** 30)
    signal.addEventListener('abort', () => clearInterval(alive), { once: true })
  })
