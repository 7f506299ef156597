import { fork } from 'node:child_process'
import { join } from 'node:path'

/**
 * Starts a load process.
 *
 * @param {string} name of the module beside this one
 * @param {object} [options]
 * @param {string[]} [options.execArgv] for example a larger heap
 */
export function startLoad(name, { execArgv = [] } = {}) {
  const child = fork(join(import.meta.dirname, `${name}.mjs`), { execArgv, serialization: 'advanced' })
  let pending
  let cpuSeconds = 0
  const settle = (act) => {
    const waiting = pending
    pending = undefined
    if (waiting) {
      clearTimeout(waiting.timer)
      act(waiting)
    }
  }
  child.on('message', ({ answer, failure, cpuSeconds: used = 0 }) => {
    cpuSeconds += used
    settle(({ resolve, reject }) => {
      if (failure === undefined) resolve(answer)
      else reject(new Error(`load "${name}": ${failure}`))
    })
  })
  child.on('exit', (code, signal) =>
    settle(({ reject }) => reject(new Error(`load "${name}" ended early (${signal ?? code})`))),
  )
  return {
    /**
     * Gives one order and waits for its answer.
     *
     * @param {string} handler @param {unknown} order @param {number} withinMs then the process is killed and the wait fails
     */
    ask(handler, order, withinMs) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          child.kill('SIGKILL')
          settle(() => reject(new Error(`load "${name}" did not finish "${handler}" within ${withinMs / 1000} s`)))
        }, withinMs)
        pending = { resolve, reject, timer }
        child.send({ name: handler, order })
      })
    },
    /** @returns {number} CPU seconds that orders have taken since this was asked last */
    cpuSeconds() {
      const used = cpuSeconds
      cpuSeconds = 0
      return used
    },
    /** Ends the process; resolves when it has ended. */
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 3_000)
      await ended
      clearTimeout(timer)
    },
  }
}
