/** The command API's clients: each connection sends the next command when the last one was answered. */
import { randomUUID } from 'node:crypto'
import { Pool } from 'undici'
import { closedLoop } from './pace.mjs'
import { serve } from './serve.mjs'

const path = '/api/v1/payments'
const body = JSON.stringify({
  amount: '12.50',
  currency: 'EUR',
  method: { type: 'card', token: 'tok_visa' },
  description: 'Two tickets, row 7',
})

let pool
let next = 0
serve({
  async connect({ url, connections }) {
    pool = new Pool(url, { connections, pipelining: 1, headersTimeout: 15_000, bodyTimeout: 15_000 })
  },

  /** `tokens`: access tokens, used in turn. Another answer than 201 ends the phase: a refusal is no command. */
  run: ({ tokens, concurrency, forMs }) =>
    closedLoop(concurrency, forMs, async () => {
      const answer = await pool.request({
        method: 'POST',
        path,
        body,
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${tokens[next++ % tokens.length]}`,
          'idempotency-key': randomUUID(),
        },
      })
      const text = await answer.body.text()
      if (answer.statusCode !== 201)
        throw new Error(`POST ${path} answered ${answer.statusCode}: ${text.slice(0, 300)}`)
    }),

  close: () => pool.close(),
})
