import { BlockList, type Socket } from 'node:net'
import fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import type { Logger } from 'pino'
import type { z } from 'zod'
import { clientAddressOf, type TrustedProxies } from '../client-address'
import { newId } from '../ids'
import { counter, durations, type Registry } from '../metrics'
import type { RateLimits } from '../rate-limit'
import { SpanKind, startSpan, withContext } from '../tracing'
import { generalLimit, type Access } from './admission'
import { answerHeaders } from './answer-headers'
import { noBrowsers, type BrowserRules } from './browsers'
import { boundConnections } from './connections'
import { createCors } from './cors'
import { jsonBody, refuseEncodedBody } from './json-body'
import { mountRoutes } from './mount'
import { HttpProblem, type ProblemTable } from './problem'
import { createRefusals } from './refusals'
import { requestLogOf } from './request-log'
import { requireForm } from './request-form'
import { requestTime } from './request-time'
import type { Route } from './route'
import { browserOf, createIdentify, type Browser } from './session-cookies'

export interface ApiOptions<Deps, Principal> extends ProblemTable {
  log: Logger
  metrics: Registry
  /** Proxies in front whose `X-Forwarded-For` is believed. Default: none, a request comes from where it comes. */
  trustedProxies?: TrustedProxies
  routes: readonly Route<Deps>[]
  /** What the handlers of the routes need. */
  deps: Deps
  access: Access<Principal>
  limits: RateLimits
  /** What pages in browsers may do here. Default: nothing but pages of the API's own origin, with tokens. */
  browsers?: BrowserRules
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Given by the client as `X-Correlation-Id`, or made; echoed, logged, and recorded with what the request causes. */
    correlationId: string
    /** Where it comes from, canonical; see `clientAddressOf`. fastify's own `ip` is the other end of the connection. */
    readonly clientAddress: string
    /** What it says of the browser that sends it; `undefined` where cookies are off. */
    readonly browser: Browser | undefined
    /** Whether its principal is known by a cookie. */
    isByCookie: boolean
  }
  interface FastifyReply {
    /** The code of the problem that is answered, or `undefined`. */
    problemCode: string | undefined
  }
}

/** No command or query needs more; a body above it is refused unread. */
const bodyBytesMax = 64 * 1024
/** A path is repeated to its sender up to here. */
const pathShownMax = 200
/** The id stays in the log and in every topic for ever: nothing but a UUID is kept, or people would write there what is personal. */
const correlationIdForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** Which methods a path knows, OPTIONS among them; asked only when a request found no route. A path that is none knows none. */
function allowedMethods(app: FastifyInstance): (path: string) => string[] {
  const routes: { methods: string[]; form: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    const form = new RegExp(`^${url.replaceAll(/[.+*?^$()[\]{}|\\]/g, '\\$&').replaceAll(/:\w+/g, '[^/]+')}$`)
    routes.push({ methods: [method].flat(), form })
  })
  return (path) => {
    const known = routes.filter(({ form }) => form.test(path)).flatMap(({ methods }) => methods)
    return known.length === 0 ? [] : [...new Set([...known, 'OPTIONS'])]
  }
}

/**
 * An API as every process of the system has it: routes declared by `defineRoute`, requests and answers held to their schemas, problems as
 * RFC 9457 has them, correlation ids and trace context. It does not listen. What operators ask is answered on a port of its own (`process/`).
 */
export function createApi<Deps, Principal>(options: ApiOptions<Deps, Principal>): FastifyInstance {
  const { log, metrics } = options
  const { trustedProxies = new BlockList(), browsers = noBrowsers } = options
  const cors = createCors({ origins: browsers.origins, credentials: browsers.cookies !== undefined }, options.routes)
  const always = answerHeaders(browsers.hstsSeconds)
  const headersOf = (request: FastifyRequest) => ({
    ...always,
    ...cors.headersOf(request),
    'x-correlation-id': request.id,
  })
  const refusals = createRefusals(options, log, { headersOf, always })
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    // One line per request, written below; its id is the correlation id.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'correlationId' }),
    childLoggerFactory: requestLogOf,
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTime.requestTimeout,
    // Ours is a problem like all others; see `stopping`.
    return503OnClosing: false,
    // Node's own refusal has no body; see `onRequest`.
    http: { ...requestTime.http, requireHostHeader: false },
    frameworkErrors: (error, request, reply) => {
      reply.raw.once('close', () => observe(request.method, 'unknown', reply, request.id))
      refusals.answerEarly(error, request, reply)
    },
    clientErrorHandler: (error, socket) => refusals.answerOnSocket(error, socket as Socket),
    genReqId: (request) => {
      const given = request.headers['x-correlation-id']
      return typeof given === 'string' && correlationIdForm.test(given) ? given.toLowerCase() : newId()
    },
  })
  boundConnections(app.server, trustedProxies)
  // RFC 9110 § 10.1.1: an expectation that is not known may be passed over. Node's own refusal has no body.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))

  // Bodies are JSON unless a route says otherwise: what an HTML form of another site can send is refused.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, jsonBody(app))
  app.addHook('preParsing', refuseEncodedBody)
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (data) => {
    const result = schema.safeParse(data)
    return result.success ? { value: result.data } : { error: result.error }
  })
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler(refusals.answerError)

  const methodsAt = allowedMethods(app)
  app.setNotFoundHandler(generalLimit(options.limits), (request, reply) => {
    const path = request.url.split('?')[0]!
    const methods = methodsAt(path)
    if (methods.length > 0 && request.method === 'OPTIONS')
      return reply
        .code(204)
        .headers({ allow: methods.join(', '), ...cors.preflightOf(request, methods) })
        .send()
    const problem = methods.length
      ? new HttpProblem('method-not-allowed', { headers: { allow: methods.join(', ') } })
      : new HttpProblem('not-found', { detail: `There is no ${request.method} ${path.slice(0, pathShownMax)}.` })
    return refusals.answer(problem, request, reply)
  })

  const observe = observer(log, metrics)
  let stopping = false
  app.addHook('preClose', (done) => {
    stopping = true
    done()
  })
  app.decorateRequest('correlationId', '')
  app.decorateRequest('clientAddress', {
    getter() {
      return clientAddressOf(this.raw.socket.remoteAddress, this.raw.headers['x-forwarded-for'], trustedProxies)
    },
  })
  app.decorateRequest('isByCookie', false)
  app.decorateRequest('browser', {
    getter() {
      return browsers.cookies ? browserOf(this, browsers.origins) : undefined
    },
  })
  app.decorateReply('problemCode', undefined)
  // Hooks that wait for nothing are no async functions: each promise is paid for by every request.
  app.addHook('onRequest', (request, reply, done) => {
    request.correlationId = request.id
    // Here as well, for what is refused in the next lines.
    reply.headers(headersOf(request))
    if (stopping) throw new HttpProblem('stopping', { headers: { 'retry-after': '1', connection: 'close' } })
    requireForm(request)
    done()
  })
  app.addHook('onRequest', (request, reply, done) => {
    const traceparent = request.headers['traceparent']
    const { span, context } = startSpan({
      name: `${request.method} ${request.routeOptions.url ?? 'unknown'}`,
      kind: SpanKind.SERVER,
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    })
    reply.raw.once('close', () => {
      span.setAttribute('http.response.status_code', reply.statusCode)
      span.end()
    })
    withContext(context, done)
  })
  app.addHook('onResponse', (request, reply, done) => {
    observe(request.method, request.routeOptions.url ?? 'unknown', reply, request.id)
    done()
  })

  const identify = createIdentify(options.access, browsers.cookies?.csrfKey)
  mountRoutes(app, options.routes, options.deps, { access: { ...options.access, identify }, limits: options.limits })
  return app
}

/** Counts and logs answers: one line for each request. */
function observer(log: Logger, metrics: Registry) {
  const requestSeconds = durations(metrics, 'annals_api_request_seconds', 'Time from request to answer', [
    'method',
    'route',
    'status',
  ])
  const answers = counter(
    metrics,
    'annals_api_answers_total',
    'Answers by operation and outcome: `done`, or a problem',
    ['operation', 'outcome'],
  )
  // Redaction looks into every line for secrets; the fields of this one are all known, and there is one per request.
  const requestLog = log.child({}, { redact: [] })
  return (method: string, route: string, reply: FastifyReply, correlationId: string) => {
    // 0 for what was refused before it was timed.
    const ms = reply.elapsedTime || 0
    const { operationId } = reply.request.routeOptions?.config ?? {}
    const outcome = reply.problemCode
    requestSeconds.observe({ method, route, status: reply.statusCode }, ms / 1000)
    if (operationId !== undefined) answers.inc({ operation: operationId, outcome: outcome ?? 'done' })
    requestLog.info(
      {
        correlationId,
        method,
        route,
        status: reply.statusCode,
        ...(outcome ? { problem: outcome } : {}),
        ms: Math.round(ms * 10) / 10,
      },
      'request',
    )
  }
}
