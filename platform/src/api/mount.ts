import { Readable } from 'node:stream'
import fastifyMultipart from '@fastify/multipart'
import fastifySse from '@fastify/sse'
import { stringify } from 'csv-stringify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { RateLimits } from '../rate-limit'
import { admission, type Identification } from './admission'
import { HttpProblem } from './problem'
import type { AnyAnswer, Incoming, Route } from './route'

declare module 'fastify' {
  interface FastifyContextConfig {
    operationId?: string
  }
}

/** A file of an upload, and how many parts one has, at most. A route may allow itself less. */
const uploadLimits = { fileSize: 8 * 1024 * 1024, files: 4, fields: 32, fieldSize: 64 * 1024, parts: 36 }
/** The problem of a request that needs a name and has none; a route whose requests do names it. */
const keyRequired = 'idempotency-key-required'
/** Keeps a stream of events open through proxies, which close what is silent for a minute. */
const eventsHeartbeatMs = 15_000

/** What stands before every route. */
interface Doors<Principal> {
  access: Identification<Principal>
  limits: RateLimits
}

/** Makes routes answer on a server. Formats that few routes have are added in scopes of their own. */
export function mountRoutes<Deps, Principal>(
  app: FastifyInstance,
  routes: readonly Route<Deps>[],
  deps: Deps,
  doors: Doors<Principal>,
): void {
  app.decorateRequest('principal', undefined)
  const isPlain = ({ bodyForm = 'json', response: { form = 'json' } }: Route<Deps>) =>
    bodyForm === 'json' && form !== 'events'
  const mount = (server: FastifyInstance, route: Route<Deps>) => {
    for (const address of [route, ...(route.aliases ?? [])]) mountAt(server, address, route, deps, doors)
  }
  for (const route of routes.filter(isPlain)) mount(app, route)

  const raw = routes.filter(({ bodyForm }) => bodyForm === 'raw')
  if (raw.length > 0)
    app.register(async (server) => {
      server.removeAllContentTypeParsers()
      server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, bytes, done) => done(null, bytes))
      for (const route of raw) mount(server, route)
    })
  const uploads = routes.filter(({ bodyForm }) => bodyForm === 'multipart')
  if (uploads.length > 0)
    app.register(async (server) => {
      server.removeAllContentTypeParsers()
      await server.register(fastifyMultipart, { limits: uploadLimits })
      for (const route of uploads) mount(server, route)
    })
  const streams = routes.filter(({ response }) => response.form === 'events')
  if (streams.length > 0)
    app.register(async (server) => {
      await server.register(fastifySse, { heartbeatInterval: eventsHeartbeatMs })
      for (const route of streams) mount(server, route)
    })
}

function mountAt<Deps, Principal>(
  server: FastifyInstance,
  { method, path }: Pick<Route<Deps>, 'method' | 'path'>,
  route: Route<Deps>,
  deps: Deps,
  { access, limits }: Doors<Principal>,
): void {
  if (route.freshAuthentication && !access.assertFresh)
    throw new Error(`${route.operationId} asks for fresh authentication, and this API can not tell what is fresh`)
  const admit = admission(route, limits.ofRoute(route.rateLimit, route.operationId), access)
  server.route({
    method,
    url: path,
    config: { operationId: route.operationId },
    ...(route.bodyBytesMax === undefined ? {} : { bodyLimit: route.bodyBytesMax }),
    ...(route.response.form === 'events' ? { sse: 'only' as const } : {}),
    schema: {
      ...(route.params ? { params: route.params } : {}),
      ...(route.query ? { querystring: route.query } : {}),
      // Other headers than those it names are none of its business: fastify keeps them beside what comes out of this.
      ...(route.headers ? { headers: route.headers.strip() } : {}),
      ...(route.body && (route.bodyForm ?? 'json') === 'json' ? { body: route.body } : {}),
    },
    ...(admit ? { onRequest: admit } : {}),
    ...(route.problems.includes(keyRequired) ? { preValidation: requireKey } : {}),
    async handler(request, reply) {
      const answer = await route.handle(incomingOf(request, reply, route) as never, deps)
      return send(reply.code(answer.status ?? route.response.status).headers(answer.headers ?? {}), route, answer)
    },
  })
}

function requireKey({ headers }: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (headers['idempotency-key'] !== undefined) return done()
  throw new HttpProblem(keyRequired, {
    detail: 'Send a header "Idempotency-Key" that names this request, such as a UUID of yours.',
  })
}

function incomingOf(request: FastifyRequest, reply: FastifyReply, { bodyForm }: Pick<Route<never>, 'bodyForm'>) {
  let signal: AbortSignal | undefined
  // Once: fastify puts them together anew for everyone who asks.
  const { headers } = request
  return {
    principal: request.principal,
    params: request.params,
    query: request.query,
    headers,
    body: bodyForm === 'multipart' ? request.parts() : request.body,
    correlationId: request.correlationId,
    userAgent: headers['user-agent'],
    get browser() {
      return request.browser
    },
    // Found out for those who ask: few routes do.
    get ip() {
      return request.clientAddress
    },
    get signal() {
      return (signal ??= goneSignal(reply))
    },
  } satisfies Record<keyof Incoming<never, never, never, never, never>, unknown>
}

/** Aborts when the client has gone before its answer was written. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort()
  })
  return gone.signal
}

/** What an answer has beyond its schema is not sent. @throws Error when it does not fit: a fault of ours. */
function fitting(schema: z.ZodType | undefined, content: unknown, operationId: string): unknown {
  if (!schema) return undefined
  const fit = schema.safeParse(content)
  if (fit.success) return fit.data
  throw new Error(`the answer of ${operationId} does not fit its schema: ${z.prettifyError(fit.error)}`)
}

function send(reply: FastifyReply, { operationId, response }: Route<never>, { body, lines, events, as }: AnyAnswer) {
  const { schema, form = 'json' } = response
  const fit = (content: unknown) => fitting(schema, content, operationId)
  switch (as ?? form) {
    case 'json':
      if (!schema) return reply.send()
      return reply.type('application/json').send(JSON.stringify(fit(body)))
    case 'ndjson':
      return reply
        .type('application/x-ndjson')
        .send(Readable.from(mapped(lines!, (line) => `${JSON.stringify(fit(line))}\n`)))
    case 'csv': {
      const columns = Object.keys((schema as z.ZodObject).shape)
      const rows = Readable.from(mapped(lines!, (line) => fit(line)))
      // A cell that a spreadsheet would take for a formula is written as text.
      const text = stringify({ header: true, columns, escape_formulas: true, record_delimiter: 'windows' })
      rows.on('error', (error) => text.destroy(error))
      return reply.type('text/csv; charset=utf-8; header=present').send(rows.pipe(text))
    }
    case 'events':
      return reply.sse.send(mapped(events!, ({ data, ...facts }) => ({ ...facts, data: fit(data) })))
  }
}

async function* mapped<From, To>(items: AsyncIterable<From>, to: (item: From) => To): AsyncGenerator<To> {
  for await (const item of items) yield to(item)
}
