/** What the HTTP sides of the sandboxes share. */
import { z } from 'zod'

const ownHosts = new Set(['127.0.0.1', 'localhost', '[::1]'])

/**
 * Refuses requests under another host name: a web page anywhere could otherwise rebind its name to 127.0.0.1 and read the inbox.
 *
 * @param {import('fastify').FastifyInstance} app
 * @param {string[]} [otherHosts] names under which it answers too: those of a container network
 */
export function onlyFromThisMachine(app, otherHosts = []) {
  app.addHook('onRequest', async (request, reply) => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '')
    if (!ownHosts.has(host) && !otherHosts.includes(host))
      return problem(reply, 403, 'This sandbox answers on 127.0.0.1 and localhost only.')
  })
}

/** @param {import('fastify').FastifyReply} reply @param {number} status @param {string} detail */
export const problem = (reply, status, detail) =>
  reply.code(status).type('application/problem+json').send({ type: 'about:blank', status, detail })

/**
 * `GET|PUT|DELETE /api/behaviour`: what the next messages meet. PUT takes `{ fault, count, to? }`.
 *
 * @param {import('fastify').FastifyInstance} app
 * @param {import('./faults.mjs').FaultSwitch} faultSwitch
 * @param {string[]} faults
 */
export function faultRoutes(app, faultSwitch, faults) {
  const Behaviour = z.strictObject({
    fault: z.enum(faults),
    count: z.int().min(1).max(100_000),
    to: z.string().max(320).optional(),
  })
  app.get('/api/behaviour', () => faultSwitch.get())
  app.put('/api/behaviour', (request, reply) => {
    const body = Behaviour.safeParse(request.body)
    if (!body.success) return problem(reply, 400, z.prettifyError(body.error))
    faultSwitch.set(body.data)
    return faultSwitch.get()
  })
  app.delete('/api/behaviour', (_request, reply) => {
    faultSwitch.set(undefined)
    return reply.code(204).send()
  })
}
