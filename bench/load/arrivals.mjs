/**
 * Commands are sent at the times of a schedule made beforehand, whatever became of earlier ones. So a slow moment
 * affects as many commands as it would in reality (no coordinated omission). Arrivals are a Poisson process.
 */
import { createRandom } from '../log/random.mjs'
import { openApis } from './apis.mjs'
import { dueAt, scheduleOf } from './schedule.mjs'
import { serve } from './serve.mjs'

/** @type {ReturnType<typeof openApis>} */
let apis
serve({
  async connect(urls) {
    apis = openApis(urls)
  },

  /**
   * @returns {Promise<{ visibleMs: number[], ackMs: number[], lateMs: number[], retries: number }>} by command: from its 201
   *   to the query answer that shows it; from its scheduled time to its 201; from its scheduled time to when it was sent
   */
  async run({ tokens, perSecond, forMs, seed }) {
    const schedule = scheduleOf({ perSecond, forMs, random: createRandom(seed) })
    const results = { visibleMs: [], ackMs: [], lateMs: [], retries: 0 }
    const begunAt = performance.now()
    const under = schedule.map(async (dueMs, i) => {
      await dueAt(begunAt + dueMs)
      results.lateMs.push(performance.now() - begunAt - dueMs)
      const token = tokens[i % tokens.length]
      const { paymentId, consistencyToken } = await apis.create(token)
      const acknowledgedAt = performance.now()
      results.ackMs.push(acknowledgedAt - begunAt - dueMs)
      results.retries += await see(token, paymentId, consistencyToken)
      results.visibleMs.push(performance.now() - acknowledgedAt)
    })
    await Promise.all(under)
    return results
  },

  async close() {
    await apis.close()
  },
})

/** Asks for the payment with its token until it is there. @returns {Promise<number>} answers that said "not yet" */
async function see(token, paymentId, consistencyToken) {
  for (let retries = 0; ; retries++) {
    const { statusCode, text } = await apis.get(token, `/api/v1/payments/${paymentId}`, {
      'consistency-token': consistencyToken,
    })
    if (statusCode === 200 && JSON.parse(text).paymentId === paymentId) return retries
    // Only "the read model has not come so far" is asked again; it says so with 503.
    if (statusCode !== 503 || retries === 20)
      throw new Error(`a query was answered ${statusCode}: ${text.slice(0, 300)}`)
  }
}
