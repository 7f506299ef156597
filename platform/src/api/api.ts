import { STATUS_CODES } from 'node:http'
import { BlockList, type Socket } from 'node:net'
import fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import type { Logger } from 'pino'
import { z } from 'zod'
import { clientAddressOf, type TrustedProxies } from '../client-address'
import { newId } from '../ids'
import { durations, type Registry } from '../metrics'
import { SpanKind, startSpan, withContext } from '../tracing'
import { jsonBody, refuseEncodedBody } from './json-body'
import { addOperations, type Readiness } from './operations'
import { HttpProblem, type ProblemRow } from './problem'
import { requestTime } from './request-time'

export interface ApiOptions {
  log: Logger
  metrics: Registry
  readiness: Readiness
  /** Every code that this API answers with. */
  problems: Record<string, ProblemRow>
  /** URI that names a problem's type. */
  problemType: (code: string) => string
  /** Turns an error of the service into a problem; `undefined`: it is a fault of ours, a 500. */
  toProblem: (error: unknown) => HttpProblem | undefined
  /** Proxies in front whose `X-Forwarded-For` is believed. Default: none, a request comes from where it comes. */
  trustedProxies?: TrustedProxies
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Given by the client as `X-Correlation-Id`, or made; echoed, logged, and recorded with what the request causes. */
    correlationId: string
    /** Where it comes from, canonical; see `clientAddressOf`. fastify's own `ip` is the other end of the connection. */
    readonly clientAddress: string
  }
  interface FastifyReply {
    /** The code of the problem that is answered, or `undefined`. */
    problemCode: string | undefined
  }
}

/** No command or query needs more; a body above it is refused unread. */
const bodyBytesMax = 64 * 1024

const correlationIdForm = /^[\x21-\x7e]{1,128}$/

/** What fastify itself refuses, by its error code. */
const frameworkProblems: Record<string, string> = {
  FST_ERR_BAD_URL: 'invalid-request',
  FST_ERR_MAX_PARAM_LENGTH: 'uri-too-long',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
}
/** What Node's HTTP parser refuses before there is a request, by its error code; all else is no HTTP. */
const clientProblems: Record<string, string> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'header-fields-too-large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'payload-too-large',
}
/** A path is repeated to its sender up to here. */
const pathShownMax = 200

/** Which methods a path knows; asked only when a request found no route. */
function allowedMethods(app: FastifyInstance): (path: string) => string[] {
  const routes: { methods: string[]; form: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    const form = new RegExp(`^${url.replaceAll(/[.+*?^$()[\]{}|\\]/g, '\\$&').replaceAll(/:\w+/g, '[^/]+')}$`)
    routes.push({ methods: [method].flat(), form })
  })
  return (path) => [...new Set(routes.filter(({ form }) => form.test(path)).flatMap(({ methods }) => methods))]
}

/**
 * A fastify instance as every API of the system has it: zod validates, problems are RFC 9457, requests carry correlation
 * ids and trace context, `/healthz`, `/readyz` and `/metrics` answer. It does not listen.
 */
export function createApi(options: ApiOptions): FastifyInstance {
  const { log, metrics, problems, problemType, toProblem } = options
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    // One line per request, written below; its id is the correlation id.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'correlationId' }),
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTime.requestTimeout,
    // Ours is a problem like all others; see `stopping`.
    return503OnClosing: false,
    // Node's own refusal has no body; see `onRequest`.
    http: { ...requestTime.http, requireHostHeader: false },
    frameworkErrors: (error, request, reply) => answerEarly(error, request, reply),
    clientErrorHandler: (error, socket) => answerOnSocket(error, socket as Socket),
    genReqId: (request) => {
      const given = request.headers['x-correlation-id']
      return typeof given === 'string' && correlationIdForm.test(given) ? given : newId()
    },
  })
  const requestSeconds = durations(metrics, 'annals_api_request_seconds', 'Time from request to answer', [
    'method',
    'route',
    'status',
  ])

  // Bodies are JSON and nothing else: what an HTML form of another site can send is refused.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, jsonBody(app))
  app.addHook('preParsing', refuseEncodedBody)
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (data) => {
    const result = schema.safeParse(data)
    return result.success ? { value: result.data } : { error: result.error }
  })
  // Answers are built from typed values; serialising them needs no second schema.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))

  function bodyOf({ code, facts: { detail, errors } }: HttpProblem, correlationId: string) {
    const { status, title } = problems[code] ?? { status: 500, title: code }
    return {
      type: problemType(code),
      title,
      status,
      code,
      ...(detail ? { detail } : {}),
      correlationId,
      ...(errors ? { errors } : {}),
    }
  }

  function answer(problem: HttpProblem, request: FastifyRequest, reply: FastifyReply) {
    const body = bodyOf(problem, request.id)
    reply.problemCode = problem.code
    return reply
      .code(body.status)
      .headers(problem.facts.headers ?? {})
      .type('application/problem+json')
      .send(body)
  }

  /** What fastify refuses before it looks for a route: no hook of ours runs for it. */
  function answerEarly(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
    const problem = problemOf(error)
    if (!problem) log.error({ err: error, correlationId: request.id }, 'request failed')
    reply.header('x-correlation-id', request.id)
    reply.raw.once('close', () => observe(request.method, 'unknown', reply, request.id))
    void answer(problem ?? new HttpProblem('internal-error'), request, reply)
  }

  /** What Node refuses before there is a request: written by hand, since there is nothing yet that could answer. */
  function answerOnSocket(error: NodeJS.ErrnoException, socket: Socket) {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const correlationId = newId()
    const code = clientProblems[error.code ?? ''] ?? 'invalid-request'
    const detail = code === 'invalid-request' ? { detail: 'This is no HTTP request.' } : {}
    const body = bodyOf(new HttpProblem(code, detail), correlationId)
    const text = JSON.stringify(body)
    log.info({ correlationId, status: body.status, problem: code }, 'no request')
    socket.end(
      [
        `HTTP/1.1 ${body.status} ${STATUS_CODES[body.status] ?? ''}`,
        'content-type: application/problem+json; charset=utf-8',
        `content-length: ${Buffer.byteLength(text)}`,
        `x-correlation-id: ${correlationId}`,
        'connection: close',
        '',
        text,
      ].join('\r\n'),
      () => socket.destroy(),
    )
  }

  function problemOf(error: FastifyError | z.ZodError): HttpProblem | undefined {
    if (error instanceof HttpProblem) return error
    const known = toProblem(error)
    if (known) return known
    if (error instanceof z.ZodError) {
      // Marked by fastify: a request did not fit its schema. An unmarked one was thrown while we worked, and is a fault of ours.
      const place = (error as { validationContext?: string }).validationContext
      if (place === undefined) return undefined
      return new HttpProblem('invalid-request', {
        detail: 'Correct the fields named in "errors" and send the request again; nothing was changed.',
        errors: error.issues.map(({ path, message }) => ({
          pointer: `/${[place, ...path.map(String)].join('/')}`,
          message,
        })),
      })
    }
    const code = frameworkProblems[error.code]
    if (code) return new HttpProblem(code)
    // Malformed JSON, an empty body and their kind: the client's fault, in fastify's words.
    if (error.statusCode && error.statusCode >= 400 && error.statusCode < 500)
      return new HttpProblem('invalid-request', { detail: error.message })
    return undefined
  }

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = problemOf(error)
    if (!problem) {
      request.log.error({ err: error }, 'request failed')
      return answer(new HttpProblem('internal-error'), request, reply)
    }
    if (problem.cause) request.log.warn({ err: problem.cause }, problem.code)
    return answer(problem, request, reply)
  })
  const methodsAt = allowedMethods(app)
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!
    const methods = methodsAt(path)
    const problem = methods.length
      ? new HttpProblem('method-not-allowed', { headers: { allow: methods.join(', ') } })
      : new HttpProblem('not-found', { detail: `There is no ${request.method} ${path.slice(0, pathShownMax)}.` })
    return answer(problem, request, reply)
  })

  // Redaction looks into every line for secrets; the fields of this one are all known, and there is one per request.
  const requestLog = log.child({}, { redact: [] })
  app.decorateRequest('correlationId', '')
  const trusted = options.trustedProxies ?? new BlockList()
  app.decorateRequest('clientAddress', {
    getter() {
      return clientAddressOf(this.raw.socket.remoteAddress, this.raw.headers['x-forwarded-for'], trusted)
    },
  })
  app.decorateReply('problemCode', undefined)
  let stopping = false
  app.addHook('preClose', (done) => {
    stopping = true
    done()
  })
  app.addHook('onRequest', async (request, reply) => {
    request.correlationId = request.id
    // Here as well, for what is refused in the next line.
    reply.header('x-correlation-id', request.id)
    if (stopping) throw new HttpProblem('stopping', { headers: { 'retry-after': '1', connection: 'close' } })
    // RFC 9112 § 3.2: an HTTP/1.1 request names its host.
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      throw new HttpProblem('invalid-request', { detail: 'Send a header "Host".' })
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
  function observe(method: string, route: string, reply: FastifyReply, correlationId: string) {
    // 0 for what was refused before it was timed.
    const ms = reply.elapsedTime || 0
    requestSeconds.observe({ method, route, status: reply.statusCode }, ms / 1000)
    requestLog.info(
      {
        correlationId,
        method,
        route,
        status: reply.statusCode,
        ...(reply.problemCode ? { problem: reply.problemCode } : {}),
        ms: Math.round(ms * 10) / 10,
      },
      'request',
    )
  }
  app.addHook('onResponse', (request, reply, done) => {
    observe(request.method, request.routeOptions.url ?? 'unknown', reply, request.id)
    done()
  })

  addOperations(app, metrics, options.readiness)
  return app
}
