/**
 * A system in use: commands and queries come when they come, each on a schedule of its own made beforehand (see arrivals.mjs).
 * Queries ask for what has long been projected, so their time is the query API's and not the projector's.
 */
import { randomUUID } from 'node:crypto'
import { Pool } from 'undici'
import { createRandom } from '../log/random.mjs'
import { dueAt, scheduleOf } from './schedule.mjs'
import { serve } from './serve.mjs'

const body = JSON.stringify({
  amount: '12.50',
  currency: 'EUR',
  method: { type: 'card', token: 'tok_visa' },
  description: 'Two tickets, row 7',
})
/** As many at once as would mean that the system stands still: more than a second of arrivals. */
const options = { connections: 256, pipelining: 1, headersTimeout: 30_000, bodyTimeout: 30_000 }
/** Every so many queries one lists a person's payments; the others ask for one payment. */
const listEvery = 10

let commands
let queries
serve({
  async connect({ commandUrl, queryUrl }) {
    commands = new Pool(commandUrl, options)
    queries = new Pool(queryUrl, options)
  },

  /** Makes payments that queries can ask for. @returns {Promise<{ token: string, paymentId: string }[]>} */
  async prepare({ tokens, each }) {
    const made = []
    for (const token of tokens) {
      for (let i = 0; i < each; i++) made.push({ token, paymentId: await create(token) })
    }
    return made
  },

  /**
   * @returns {Promise<{ queryMs: number[], commandMs: number[], lateMs: number[] }>} from scheduled time to answer; how late
   *   a query was sent
   */
  async run({ known, commandsPerSecond, queriesPerSecond, forMs, seed }) {
    const random = createRandom(seed)
    const results = { queryMs: [], commandMs: [], lateMs: [] }
    const begunAt = performance.now()
    const command = async (dueMs, i) => {
      await dueAt(begunAt + dueMs)
      await create(known[i % known.length].token)
      results.commandMs.push(performance.now() - begunAt - dueMs)
    }
    const query = async (dueMs, i) => {
      const asked = random.pick(known)
      await dueAt(begunAt + dueMs)
      results.lateMs.push(performance.now() - begunAt - dueMs)
      await read(asked.token, i % listEvery === 0 ? '/api/v1/payments?limit=20' : `/api/v1/payments/${asked.paymentId}`)
      results.queryMs.push(performance.now() - begunAt - dueMs)
    }
    await Promise.all([
      ...scheduleOf({ perSecond: commandsPerSecond, forMs, random }).map(command),
      ...scheduleOf({ perSecond: queriesPerSecond, forMs, random }).map(query),
    ])
    return results
  },

  async close() {
    await Promise.all([commands.close(), queries.close()])
  },
})

async function create(token) {
  const { statusCode, body: answer } = await commands.request({
    method: 'POST',
    path: '/api/v1/payments',
    body,
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'idempotency-key': randomUUID(),
    },
  })
  const text = await answer.text()
  if (statusCode !== 201) throw new Error(`a command was answered ${statusCode}: ${text.slice(0, 300)}`)
  return JSON.parse(text).paymentId
}

async function read(token, path) {
  const { statusCode, body: answer } = await queries.request({
    method: 'GET',
    path,
    headers: { authorization: `Bearer ${token}` },
  })
  const text = await answer.text()
  if (statusCode !== 200) throw new Error(`GET ${path} was answered ${statusCode}: ${text.slice(0, 300)}`)
}
