import { setTimeout as delay } from 'node:timers/promises'

const lookEveryMs = 500
const answerMsMax = 4_000
/** A supervisor waits before it starts again what has ended by itself. */
const restartPauseMs = 500
const readyMsMax = 60_000

/**
 * Watches the system's own processes while servers fail under them: none may end; one that does is started again, as a supervisor
 * would, and counted. Each has to call itself ready again without being asked to.
 *
 * @param {import('../../../dev/stack/services.mjs').Services} services
 * @param {readonly string[]} names
 * @param {{ say: (text: string) => void, signal: AbortSignal }} options
 */
export function watchServices(services, names, { say, signal }) {
  const ended = []
  const unreadyMs = Object.fromEntries(names.map((name) => [name, 0]))
  const unready = new Set()
  const stopping = new AbortController()
  const over = AbortSignal.any([signal, stopping.signal])

  async function isReady(name) {
    try {
      const response = await fetch(`${services.operations[name]}/readyz`, { signal: AbortSignal.timeout(answerMsMax) })
      await response.arrayBuffer()
      return response.ok
    } catch {
      return false
    }
  }

  async function supervise(name) {
    while (!over.aborted) {
      const how = await Promise.race([services.exit(name), aborted(over)])
      if (over.aborted) return
      ended.push(`${name}: ${how}`)
      say(`${name} has ended by itself (${how}); it is started again`)
      await delay(restartPauseMs, undefined, { signal: over }).catch(() => {})
      await services.restart(name).catch((error) => say(`${name} did not come up: ${error.message}`))
    }
  }

  async function lookAfter(name) {
    while (!over.aborted) {
      const begun = Date.now()
      const ready = await isReady(name)
      await delay(lookEveryMs, undefined, { signal: over }).catch(() => {})
      if (ready) unready.delete(name)
      else unready.add(name)
      if (!ready) unreadyMs[name] += Date.now() - begun
    }
  }

  const work = Promise.all(names.flatMap((name) => [supervise(name), lookAfter(name)]))
  work.catch(() => {})
  return {
    /** What ended by itself, and how. @type {string[]} */
    ended,
    unreadyMs,
    /** Those who were not ready when they were asked last. @returns {string[]} */
    unready: () => [...unready],
    /** @returns {Promise<Record<string, number>>} ms until each called itself ready; -1: not within a minute */
    async readyAgain() {
      const begun = Date.now()
      const waited = names.map(async (name) => {
        while (Date.now() - begun < readyMsMax) {
          if (await isReady(name)) return [name, Date.now() - begun]
          await delay(lookEveryMs, undefined, { signal })
        }
        return [name, -1]
      })
      return Object.fromEntries(await Promise.all(waited))
    },
    async stop() {
      stopping.abort()
      await work
    },
  }
}

const aborted = (signal) =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
