import fastify, { type FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Entry, Charges } from './charges'

type Result = NonNullable<Entry['result']>

const Body = z.strictObject({
  amountMinor: z.int().nonnegative(),
  currency: z.string().regex(/^[A-Z]{3}$/),
  source: z.string().regex(/^tok_\w{1,64}$/),
})
const Key = z.string().regex(/^[\x21-\x7e]{1,128}$/)

/** How the sandbox behaves towards a source. Faults happen to the first request under a key; its repeat is answered. */
interface Behaviour {
  result?: Result
  fault?: 'no-answer-charged' | 'no-answer-not-charged' | 'error-500'
}
const declined = (reason: string): Behaviour => ({ result: { status: 'declined', reason } })
const behaviours: Record<string, Behaviour> = {
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
 * idempotent by `Idempotency-Key`; a source that it does not know is declined.
 */
export function buildGatewaySandbox(charges: Charges): FastifyInstance {
  const app = fastify({ logger: false, bodyLimit: 16 * 1024, forceCloseConnections: true })
  const statusOf = (result: Result) => (result.status === 'succeeded' ? 200 : 402)

  app.get('/healthz', async () => ({ status: 'ok' }))

  app.get('/v1/charges/:key', async (request, reply) => {
    const { key } = request.params as { key: string }
    const found = charges.find(key)?.result
    if (!found) return reply.code(404).send({ error: 'no charge under this key' })
    return reply.code(200).send(found)
  })

  app.post('/v1/charges', async (request, reply) => {
    const body = Body.safeParse(request.body)
    const key = Key.safeParse(request.headers['idempotency-key'])
    if (!body.success || !key.success) return reply.code(400).send({ error: 'not a charge' })
    const asked = JSON.stringify(body.data)
    const before = charges.find(key.data)
    if (before && before.request !== asked) return reply.code(409).send({ error: 'the key belongs to another charge' })
    if (before?.result) return reply.code(statusOf(before.result)).send(before.result)

    const { result, fault } = behaviours[body.data.source] ?? declined('card_declined')
    const fate: Result = result ?? { status: 'succeeded', id: `ch_${key.data}` }
    const record = (outcome: Result | null) => charges.record({ key: key.data, request: asked, result: outcome })
    if (before || !fault) {
      record(fate)
      return reply.code(statusOf(fate)).send(fate)
    }
    record(fault === 'no-answer-charged' ? fate : null)
    if (fault === 'error-500') return reply.code(500).send({ error: 'broken on purpose' })
    // Never answers: the connection stays open until the client gives up.
    reply.hijack()
    return reply
  })
  return app
}
