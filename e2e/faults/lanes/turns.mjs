import { setTimeout as delay } from 'node:timers/promises'
import { pick } from '../random.mjs'

const lookEveryMs = 50

/** Who has a read model to themselves. */
export function createTurns() {
  const taken = new Set()
  return {
    /**
     * Takes one that nobody has; waits while there is none.
     *
     * @param {string[]} models @param {() => number} random @param {AbortSignal} signal
     * @returns {Promise<{ model: string, giveBack: () => void }>}
     */
    async take(models, random, signal) {
      for (;;) {
        const free = models.filter((model) => !taken.has(model))
        if (free.length > 0) {
          const model = pick(free, random)
          taken.add(model)
          return { model, giveBack: () => taken.delete(model) }
        }
        await delay(lookEveryMs, undefined, { signal })
      }
    },
  }
}
