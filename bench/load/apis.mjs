/** The two APIs as the loads use them: payments are created, and read. */
import { randomUUID } from 'node:crypto'
import { Pool } from 'undici'

const body = JSON.stringify({
  amount: '12.50',
  currency: 'EUR',
  method: { type: 'card', token: 'tok_visa' },
  description: 'Two tickets, row 7',
})
/** As many at once as would mean that the system stands still: more than a second of arrivals. */
const options = { connections: 256, pipelining: 1, headersTimeout: 30_000, bodyTimeout: 30_000 }

/** @param {{ commandUrl: string, queryUrl: string }} urls */
export function openApis({ commandUrl, queryUrl }) {
  const commands = new Pool(commandUrl, options)
  const queries = new Pool(queryUrl, options)
  return {
    /** @param {string} token of the payer @returns {Promise<{ paymentId: string, consistencyToken: string }>} the answer */
    async create(token) {
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
      return JSON.parse(text)
    },

    /**
     * @param {string} token of who asks
     * @param {string} path
     * @param {Record<string, string>} [headers]
     * @returns {Promise<{ statusCode: number, text: string }>} whatever was answered
     */
    async get(token, path, headers = {}) {
      const { statusCode, body: answer } = await queries.request({
        method: 'GET',
        path,
        headers: { authorization: `Bearer ${token}`, ...headers },
      })
      return { statusCode, text: await answer.text() }
    },

    close: () => Promise.all([commands.close(), queries.close()]),
  }
}
