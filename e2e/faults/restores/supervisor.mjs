import { setTimeout as delay } from 'node:timers/promises'

/** As a supervisor waits before it starts again what ended: a process that refuses is not started without end. */
const pauseMs = 1_500

/**
 * Starts again whatever ends, as in production, except what an operator stopped.
 *
 * @param {import('../../../dev/stack/services.mjs').Services} services
 * @param {readonly string[]} names
 * @param {{ signal: AbortSignal }} options
 */
export function supervise(services, names, { signal }) {
  const stopped = new Set()
  const ending = new AbortController()
  const over = AbortSignal.any([signal, ending.signal])
  const ended = new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }))
  /** How often each ended by itself. */
  const ends = Object.fromEntries(names.map((name) => [name, 0]))
  const starting = new Map()

  async function lookAfter(name) {
    while (!over.aborted) {
      await Promise.race([services.exit(name), ended])
      if (over.aborted) return
      if (stopped.has(name)) {
        await delay(100, undefined, { signal: over }).catch(() => {})
        continue
      }
      ends[name] += 1
      await delay(pauseMs, undefined, { signal: over }).catch(() => {})
      if (over.aborted || stopped.has(name)) continue
      await start(name)
    }
  }

  /** Resolves when it is ready, has ended again, or has not become ready for long: its log says why. */
  function start(name) {
    const work = services.restart(name).catch(() => {})
    starting.set(name, work)
    return Promise.race([work, ended])
  }

  const works = names.map(lookAfter)
  return {
    ends,
    /** @param {string} name */
    async stop(name) {
      stopped.add(name)
      await services.kill(name, 'SIGTERM')
    },
    /** @param {string} name */
    async start(name) {
      await start(name)
      stopped.delete(name)
    },
    async end() {
      ending.abort()
      await Promise.all(works)
      await Promise.allSettled(starting.values())
    },
  }
}
