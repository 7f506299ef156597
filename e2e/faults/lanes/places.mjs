import { setTimeout as delay } from 'node:timers/promises'
import { chains } from '../check-lane.mjs'

/** A read model that can catch up is outside for a few hundred milliseconds. */
const lookEveryMs = 50

/**
 * Looks again and again who is in the lane where. A place that was left and joined between two looks is not counted.
 *
 * @param {import('pg').Client} db nobody else uses it
 * @param {{ signal: AbortSignal, fail: (reason: unknown) => void }} options
 */
export function watchPlaces(db, { signal, fail }) {
  /** @type {Map<string, { model: string, joined: boolean }>} */
  let before = new Map()
  const leaves = new Map()
  let joins = 0
  const stopping = new AbortController()
  const over = AbortSignal.any([signal, stopping.signal])

  async function look() {
    const { rows } = await db.query(
      'select projection as model, topic, partition, joined from annals.place where projection <> all($1)',
      [[...chains]],
    )
    const now = new Map(rows.map((row) => [`${row.model} ${row.topic}/${row.partition}`, row]))
    for (const [name, { model, joined }] of now) {
      const wasJoined = before.get(name)?.joined ?? true
      if (wasJoined && !joined) leaves.set(model, (leaves.get(model) ?? 0) + 1)
      if (!wasJoined && joined) joins += 1
    }
    before = now
  }

  const work = (async () => {
    while (!over.aborted) {
      await look()
      await delay(lookEveryMs, undefined, { signal: over }).catch(() => {})
    }
  })()
  work.catch(fail)
  return {
    /** Places, of all partitions. @param {string} model @returns {number} */
    leavesOf: (model) => leaves.get(model) ?? 0,
    get leaves() {
      return [...leaves.values()].reduce((sum, count) => sum + count, 0)
    },
    get joins() {
      return joins
    },
    /** Read models that are out of the lane somewhere, by the last look. @returns {string[]} */
    outside: () => [...new Set([...before.values()].filter(({ joined }) => !joined).map(({ model }) => model))],
    async stop() {
      stopping.abort()
      await work
    },
  }
}
