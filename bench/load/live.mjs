/**
 * A system in use: commands and queries come when they come, each on a schedule of its own made beforehand (see arrivals.mjs).
 * Queries ask for what has long been projected, so their time is the query API's and not the projector's.
 */
import { createRandom } from '../log/random.mjs'
import { openApis } from './apis.mjs'
import { dueAt, scheduleOf } from './schedule.mjs'
import { serve } from './serve.mjs'

/** Every so many queries one lists a person's payments; the others ask for one payment. */
const listEvery = 10
/** Until the first arrival: all of them are set up by then, which takes some ten thousand timers. */
const leadMs = 100

/** @type {ReturnType<typeof openApis>} */
let apis
serve({
  async connect(urls) {
    apis = openApis(urls)
  },

  /** Makes payments that queries can ask for. @returns {Promise<{ token: string, paymentId: string }[]>} */
  async prepare({ tokens, each }) {
    const made = []
    for (const token of tokens) {
      for (let i = 0; i < each; i++) made.push({ token, paymentId: (await apis.create(token)).paymentId })
    }
    return made
  },

  /**
   * @returns {Promise<{ queries: { dueMs: number, ms: number }[], commandMs: number[], lateMs: number[] }>} from scheduled
   *   time (of a query with when that was, since the beginning) to answer; how late a query was sent
   */
  async run({ known, commandsPerSecond, queriesPerSecond, forMs, seed }) {
    const random = createRandom(seed)
    const results = { queries: [], commandMs: [], lateMs: [] }
    const begunAt = performance.now() + leadMs
    const command = async (dueMs, i) => {
      await dueAt(begunAt + dueMs)
      await apis.create(known[i % known.length].token)
      results.commandMs.push(performance.now() - begunAt - dueMs)
    }
    const query = async (dueMs, i) => {
      const asked = random.pick(known)
      await dueAt(begunAt + dueMs)
      results.lateMs.push(performance.now() - begunAt - dueMs)
      await read(asked.token, i % listEvery === 0 ? '/api/v1/payments?limit=20' : `/api/v1/payments/${asked.paymentId}`)
      results.queries.push({ dueMs, ms: performance.now() - begunAt - dueMs })
    }
    await Promise.all([
      ...scheduleOf({ perSecond: commandsPerSecond, forMs, random }).map(command),
      ...scheduleOf({ perSecond: queriesPerSecond, forMs, random }).map(query),
    ])
    return results
  },

  async close() {
    await apis.close()
  },
})

async function read(token, path) {
  const { statusCode, text } = await apis.get(token, path)
  if (statusCode !== 200) throw new Error(`GET ${path} was answered ${statusCode}: ${text.slice(0, 300)}`)
}
