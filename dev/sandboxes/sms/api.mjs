import { randomBytes, timingSafeEqual, createHash } from 'node:crypto'
import formbody from '@fastify/formbody'
import fastify from 'fastify'
import { z } from 'zod'
import { faultRoutes, onlyFromThisMachine, problem } from '../http.mjs'
import { brokenRule, twilioError } from './rules.mjs'

/** What the sandbox can be told to do wrong with the next messages. */
const smsFaults = {
  /** 429, code 20429. */
  rateLimit: 'rate-limit',
  /** 500, code 20500: temporary, nothing was sent. */
  serverError: 'server-error',
  /** 400, code 21608: as a trial account answers. */
  unverified: 'unverified',
  /** 400, code 21610: the recipient said STOP. */
  unsubscribed: 'unsubscribed',
  /** No answer; nothing was sent. */
  hang: 'hang',
  /** The message is kept, then the connection drops: its outcome is unknown to the sender. */
  drop: 'drop',
}
const faultCodes = { 'rate-limit': 20429, 'server-error': 20500, unverified: 21608, unsubscribed: 21610 }

/** The fields that are looked at; a field given twice is not a string, and refused. */
const Form = z.object({
  To: z.string().optional(),
  From: z.string().optional(),
  MessagingServiceSid: z.string().optional(),
  Body: z.string().optional(),
  MediaUrl: z.string().optional(),
  StatusCallback: z.string().optional(),
})
const ListQuery = z.object({
  To: z.string().optional(),
  From: z.string().optional(),
  PageSize: z.coerce.number().int().min(1).catch(50).default(50),
  Page: z.coerce.number().int().min(0).catch(0).default(0),
})

const apiVersion = '2010-04-01'
const pageSizeMax = 1000

/**
 * The part of Twilio's REST API that sends messages and tells what was sent. The official `twilio` package is its client.
 * Source: https://www.twilio.com/docs/messaging/api/message-resource
 *
 * @typedef {object} StoredSms
 * @property {string} id SM…
 * @property {string} createdAt ISO 8601, UTC
 * @property {string} to
 * @property {string | null} from
 * @property {string | null} messagingServiceSid
 * @property {string} body
 *
 * @param {{ accountSid: string, authToken: string, sent: import('../journal.mjs').Journal<StoredSms>,
 *   faultSwitch: import('../faults.mjs').FaultSwitch, hosts?: string[] }} deps `hosts`: names under which it answers beside this machine's
 * @returns {import('fastify').FastifyInstance} not yet listening
 */
export function buildSmsApi({ accountSid, authToken, sent, faultSwitch, hosts }) {
  const app = fastify({
    bodyLimit: 64 * 1024,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true },
  })
  onlyFromThisMachine(app, hosts)
  app.register(formbody)
  app.get('/healthz', () => ({ status: 'ok' }))
  app.get('/api/messages', (request) => {
    const { to: wanted } = /** @type {{ to?: string }} */ (request.query)
    const messages = sent.find(({ to }) => wanted === undefined || to === wanted)
    return { total: messages.length, messages: messages.slice(0, pageSizeMax) }
  })
  app.delete('/api/messages', (_request, reply) => {
    sent.clear()
    return reply.code(204).send()
  })
  faultRoutes(app, faultSwitch, Object.values(smsFaults))

  const refuse = (reply, code, facts) => {
    const { status, body } = twilioError(code, facts)
    if (status === 401) reply.header('www-authenticate', 'Basic realm="Twilio API"')
    return reply.code(status).send(body)
  }
  app.setNotFoundHandler(({ url }, reply) => refuse(reply, 20404, { path: url }))

  app.register(
    async (account) => {
      account.addHook('onRequest', async (request, reply) => {
        if (!authorised(request.headers.authorization, accountSid, authToken)) return refuse(reply, 20003)
        if (/** @type {{ sid: string }} */ (request.params).sid !== accountSid)
          return refuse(reply, 20404, { path: request.url })
      })

      account.post('/Messages.json', (request, reply) => {
        const parsed = Form.safeParse(request.body ?? {})
        if (!parsed.success) return problem(reply, 400, z.prettifyError(parsed.error))
        const form = parsed.data
        const facts = { to: form.To ?? '', from: form.From ?? '' }
        const rule = brokenRule(form)
        if (rule) return refuse(reply, rule, facts)
        const fault = faultSwitch.next([form.To])
        if (fault in faultCodes) return refuse(reply, faultCodes[fault], facts)
        if (fault === smsFaults.hang) return reply.hijack()
        const message = {
          id: `SM${randomBytes(16).toString('hex')}`,
          createdAt: new Date().toISOString(),
          to: form.To,
          from: form.From ?? null,
          messagingServiceSid: form.MessagingServiceSid ?? null,
          body: form.Body ?? '',
        }
        sent.add(message)
        if (fault !== smsFaults.drop) return reply.code(201).send(resource(message, accountSid, 'queued'))
        reply.hijack()
        request.raw.socket.destroy()
      })

      account.get('/Messages.json', (request, reply) => {
        const parsed = ListQuery.safeParse(request.query)
        if (!parsed.success) return problem(reply, 400, z.prettifyError(parsed.error))
        const { url } = request
        const query = parsed.data
        const all = sent.find(
          ({ to, from }) =>
            (query.To === undefined || to === query.To) && (query.From === undefined || from === query.From),
        )
        const pageSize = Math.min(query.PageSize, pageSizeMax)
        const page = query.Page
        const start = page * pageSize
        const next = new URL(url, 'http://sandbox')
        next.searchParams.set('Page', String(page + 1))
        return {
          messages: all.slice(start, start + pageSize).map((each) => resource(each, accountSid, 'delivered')),
          page,
          page_size: pageSize,
          start,
          end: Math.min(start + pageSize, all.length) - 1,
          uri: url,
          next_page_uri: start + pageSize < all.length ? `${next.pathname}${next.search}` : null,
        }
      })

      account.get('/Messages/:file', (request, reply) => {
        const message = sent.get(/** @type {{ file: string }} */ (request.params).file.replace(/\.json$/, ''))
        return message ? resource(message, accountSid, 'delivered') : refuse(reply, 20404, { path: request.url })
      })
    },
    { prefix: `/${apiVersion}/Accounts/:sid` },
  )
  return app
}

function resource({ id, createdAt, to, from, messagingServiceSid, body }, accountSid, status) {
  const uri = `/${apiVersion}/Accounts/${accountSid}/Messages/${id}`
  // Twilio's dates are RFC 2822 with a numeric zone.
  const date = new Date(createdAt).toUTCString().replace('GMT', '+0000')
  return {
    account_sid: accountSid,
    api_version: apiVersion,
    body,
    date_created: date,
    date_sent: status === 'queued' ? null : date,
    date_updated: date,
    direction: 'outbound-api',
    error_code: null,
    error_message: null,
    from,
    messaging_service_sid: messagingServiceSid,
    num_media: '0',
    num_segments: String(segments(body)),
    price: null,
    price_unit: 'USD',
    sid: id,
    status,
    subresource_uris: { media: `${uri}/Media.json` },
    to,
    uri: `${uri}.json`,
  }
}

/** 160 characters of 7 bits fit one message, 153 each of several; beyond ASCII (a shortening of GSM 03.38) 70 and 67. */
function segments(body) {
  const plain = /^[\u0020-\u007E\n\r]*$/.test(body)
  const [single, joined] = plain ? [160, 153] : [70, 67]
  return body.length <= single ? 1 : Math.ceil(body.length / joined)
}

function authorised(header, accountSid, authToken) {
  const digest = (text) => createHash('sha256').update(text).digest()
  const expected = `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`
  return timingSafeEqual(digest(header ?? ''), digest(expected))
}
