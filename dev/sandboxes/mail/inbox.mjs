import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import { simpleParser } from 'mailparser'
import { z } from 'zod'
import { faultRoutes, onlyFromThisMachine, problem } from '../http.mjs'
import { mailFaults } from './faults.mjs'

const pageFolder = join(dirname(fileURLToPath(import.meta.url)), 'page')
const pageFiles = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/inbox.js': ['inbox.js', 'text/javascript; charset=utf-8'],
  '/inbox.css': ['inbox.css', 'text/css; charset=utf-8'],
}

const ListQuery = z.strictObject({
  to: z.string().max(320).optional(),
  subject: z.string().max(200).optional(),
  messageId: z.string().max(1000).optional(),
  limit: z.coerce.number().int().min(1).max(20_000).default(50),
})

/** A mail's HTML is shown in a frame that runs no script, loads nothing and submits nothing. */
const mailPolicy = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'"

/**
 * The web inbox and its API: `GET /api/messages`, `GET /api/messages/:id` (`/raw`, `/html`), `DELETE /api/messages`, and
 * `GET|PUT|DELETE /api/behaviour` for tests that need a mail server that fails.
 *
 * @param {{ inbox: import('../journal.mjs').Journal<import('./smtp.mjs').StoredMessage>,
 *   faultSwitch: import('../faults.mjs').FaultSwitch }} deps
 * @returns {import('fastify').FastifyInstance} not yet listening
 */
export function buildInbox({ inbox, faultSwitch }) {
  const app = fastify({ bodyLimit: 16 * 1024, forceCloseConnections: true })
  onlyFromThisMachine(app)

  for (const [url, [file, type]] of Object.entries(pageFiles)) {
    const text = readFileSync(join(pageFolder, file), 'utf8')
    app.get(url, (_request, reply) => reply.type(type).header('content-security-policy', pagePolicy).send(text))
  }
  app.get('/healthz', () => ({ status: 'ok' }))

  app.get('/api/messages', (request, reply) => {
    const query = ListQuery.safeParse(request.query)
    if (!query.success) return problem(reply, 400, z.prettifyError(query.error))
    const found = inbox.find(matches(query.data))
    const messages = found
      .slice(0, query.data.limit)
      .map(({ raw, ...summary }) => ({ ...summary, bytes: (raw.length * 3) >> 2 }))
    return { total: found.length, messages }
  })
  app.get('/api/messages/:id', async (request, reply) => {
    const message = inbox.get(idOf(request))
    if (!message) return problem(reply, 404, 'There is no such message.')
    const { raw, ...summary } = message
    const source = Buffer.from(raw, 'base64')
    const parsed = await parse(source)
    return {
      ...summary,
      headers: headersOf(parsed),
      text: parsed.text ?? null,
      html: parsed.html || null,
      attachments: parsed.attachments.map(({ filename, contentType, size }) => ({ filename, contentType, size })),
      raw: source.toString('utf8'),
    }
  })
  app.get('/api/messages/:id/raw', (request, reply) => {
    const message = inbox.get(idOf(request))
    if (!message) return problem(reply, 404, 'There is no such message.')
    return reply.type('text/plain; charset=utf-8').send(Buffer.from(message.raw, 'base64'))
  })
  app.get('/api/messages/:id/html', async (request, reply) => {
    const message = inbox.get(idOf(request))
    if (!message) return problem(reply, 404, 'There is no such message.')
    const { html, textAsHtml } = await parse(Buffer.from(message.raw, 'base64'))
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', mailPolicy)
      .send(html || textAsHtml || '')
  })
  app.delete('/api/messages', (_request, reply) => {
    inbox.clear()
    return reply.code(204).send()
  })

  faultRoutes(app, faultSwitch, Object.values(mailFaults))
  return app
}

/**
 * `to` is a whole address of the envelope or the header, `subject` a part of it; both without regard to case.
 *
 * @param {{ to?: string, subject?: string, messageId?: string }} filter
 * @returns {(message: import('./smtp.mjs').StoredMessage) => boolean}
 */
const matches = ({ to, subject, messageId }) => {
  const address = to?.toLowerCase()
  const words = subject?.toLowerCase()
  return (message) =>
    (address === undefined || [...message.to, ...message.envelope.to].some((each) => each.toLowerCase() === address)) &&
    (words === undefined || message.subject.toLowerCase().includes(words)) &&
    (messageId === undefined || message.messageId === messageId)
}

/** @param {import('fastify').FastifyRequest} request @returns {string} */
const idOf = ({ params }) => /** @type {{ id: string }} */ (params).id

const parse = (source) => simpleParser(source, { skipImageLinks: true, skipHtmlToText: true })

/** @returns {Record<string, string | string[]>} names in lower case, values as they stood in the message, unfolded */
function headersOf({ headerLines }) {
  /** @type {Record<string, string | string[]>} */
  const headers = {}
  for (const { key, line } of headerLines) {
    const value = line
      .slice(line.indexOf(':') + 1)
      .replaceAll(/\r?\n\s+/g, ' ')
      .trim()
    headers[key] = key in headers ? [headers[key], value].flat() : value
  }
  return headers
}
