import { setTimeout as delay } from 'node:timers/promises'

/** A supervisor starts again what ended while it was starting, and gives up at some point. */
const startsMax = 5

/**
 * What starts again whatever was killed, and again where that fails: the machine may be busy with what else was done to it.
 *
 * @param {object} options
 * @param {(name: string) => Promise<unknown>} options.restart resolves when it is ready
 * @param {(name: string) => Promise<unknown>} options.kill
 * @param {(text: string) => void} options.say
 * @param {AbortSignal} options.signal
 * @param {number} [options.startPauseMs] before another attempt
 * @returns {{ start: (name: string) => Promise<unknown>, failedStarts: string[] }} `failedStarts`: those that did not succeed
 */
export function createStarts({ restart, kill, say, signal, startPauseMs = 500 }) {
  const failedStarts = []

  /** @throws what the last of five starts threw */
  async function start(name) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await restart(name)
      } catch (error) {
        signal.throwIfAborted()
        if (attempt === startsMax) throw error
        failedStarts.push(`${name}: ${error.message}`)
        say(`${name} did not come up, once more: ${error.message}`)
        await delay(startPauseMs, undefined, { signal })
        // It may live and not be ready: then it is ended first, as after a probe that failed.
        await kill(name)
      }
    }
  }

  return { start, failedStarts }
}
