import { createHash, timingSafeEqual } from 'node:crypto'
import fastify from 'fastify'
import { z } from 'zod'
import { faultRoutes, onlyFromThisMachine } from '../http.mjs'

const Body = z.strictObject({
  amountMinor: z.int().nonnegative(),
  currency: z.string().regex(/^[A-Z]{3}$/),
  source: z.string().regex(/^tok_\w{1,64}$/),
})
const Key = z.string().regex(/^[\x21-\x7e]{1,128}$/)

/** What goes wrong with the first request under a key; its repeat is answered. */
const faults = ['no-answer-charged', 'no-answer-not-charged', 'error-500']

/**
 * How the sandbox behaves towards a source.
 *
 * @typedef {{ result?: import('./charges.mjs').Result, fault?: string }} Behaviour
 */
/** @param {string} reason @returns {Behaviour} */
const declined = (reason) => ({ result: { status: 'declined', reason } })
/** @type {Record<string, Behaviour>} */
const behaviours = {
  tok_visa: {},
  tok_declined: declined('card_declined'),
  tok_insufficient_funds: declined('insufficient_funds'),
  tok_expired: declined('expired_card'),
  tok_timeout: { fault: 'no-answer-charged' },
  tok_timeout_not_charged: { fault: 'no-answer-not-charged' },
  tok_error_500: { fault: 'error-500' },
}

/**
 * A payment gateway for development and tests: a server of its own, so that it fails as real ones do. Charges are
 * idempotent by `Idempotency-Key`; a source that it does not know is declined. `PUT /api/behaviour` lets the next charges meet a
 * fault whatever their source; `to` narrows it to one source.
 *
 * @param {{ charges: ReturnType<typeof import('./charges.mjs').openCharges>, faultSwitch: import('../faults.mjs').FaultSwitch,
 *   token?: string, hosts?: string[] }} options `token`: the credentials it asks for, as `Authorization: Bearer`; none when missing;
 *   `hosts`: names under which it answers beside this machine's own
 * @returns {import('fastify').FastifyInstance}
 */
export function buildPaymentGateway({ charges, faultSwitch, token, hosts }) {
  const app = fastify({ logger: false, bodyLimit: 16 * 1024, forceCloseConnections: true })
  onlyFromThisMachine(app, hosts)
  app.get('/healthz', async () => ({ status: 'ok' }))
  faultRoutes(app, faultSwitch, faults)

  app.register(async (api) => {
    api.addHook('onRequest', async (request, reply) => {
      if (token === undefined || sameText(request.headers.authorization ?? '', `Bearer ${token}`)) return
      return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'unknown credentials' })
    })

    api.get('/v1/charges/:key', async (request, reply) => {
      const { key } = /** @type {{ key: string }} */ (request.params)
      const found = charges.find(key)?.result
      if (!found) return reply.code(404).send({ error: 'no charge under this key' })
      return reply.code(200).send(found)
    })

    api.post('/v1/charges', async (request, reply) => {
      const body = Body.safeParse(request.body)
      const key = Key.safeParse(request.headers['idempotency-key'])
      if (!body.success || !key.success) return reply.code(400).send({ error: 'not a charge' })
      const asked = JSON.stringify(body.data)
      const before = charges.find(key.data)
      if (before && before.request !== asked)
        return reply.code(409).send({ error: 'the key belongs to another charge' })
      if (before?.result) return answer(reply, before.result)

      const { source } = body.data
      const { result, fault: ofSource } = behaviours[source] ?? declined('card_declined')
      const fault = before ? undefined : (faultSwitch.next([source]) ?? ofSource)
      /** @type {import('./charges.mjs').Result} */
      const fate = result ?? { status: 'succeeded', id: `ch_${key.data}` }
      const record = (outcome) => charges.record({ key: key.data, request: asked, result: outcome })
      if (!fault) {
        record(fate)
        return answer(reply, fate)
      }
      record(fault === 'no-answer-charged' ? fate : null)
      if (fault === 'error-500') return reply.code(500).send({ error: 'broken on purpose' })
      // Never answers: the connection stays open until the client gives up.
      reply.hijack()
      return reply
    })
  })
  return app
}

const answer = (reply, result) => reply.code(result.status === 'succeeded' ? 200 : 402).send(result)

const sameText = (left, right) => timingSafeEqual(digest(left), digest(right))
const digest = (text) => createHash('sha256').update(text).digest()
