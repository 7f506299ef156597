import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { z } from 'zod'
import { newId } from '../ids'
import { HttpProblem, type ProblemTable } from './problem'

/** What fastify itself refuses, by its error code. */
const frameworkProblems: Record<string, string> = {
  FST_ERR_BAD_URL: 'invalid-request',
  FST_ERR_MAX_PARAM_LENGTH: 'uri-too-long',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_REQ_FILE_TOO_LARGE: 'payload-too-large',
  FST_PARTS_LIMIT: 'payload-too-large',
  FST_FILES_LIMIT: 'payload-too-large',
  FST_FIELDS_LIMIT: 'payload-too-large',
  FST_INVALID_MULTIPART_CONTENT_TYPE: 'unsupported-media-type',
}
/** What Node's HTTP parser refuses before there is a request, by its error code; all else is no HTTP. */
const clientProblems: Record<string, string> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'header-fields-too-large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'payload-too-large',
}

/** Headers that every answer has. */
export interface StandingHeaders {
  headersOf(request: FastifyRequest): Record<string, string>
  /** Where there is no request. */
  always: Record<string, string>
}

/** How an API says no: every refusal is a problem, wherever it comes from. */
export function createRefusals(
  { problems, problemType, toProblem }: ProblemTable,
  log: Logger,
  { headersOf, always }: StandingHeaders,
) {
  function bodyOf({ code, facts: { detail, errors, members } }: HttpProblem, correlationId: string) {
    const { status, title } = problems[code] ?? { status: 500, title: code }
    return {
      type: problemType(code),
      title,
      status,
      code,
      ...(detail ? { detail } : {}),
      correlationId,
      ...(errors ? { errors } : {}),
      ...members,
    }
  }

  function answer(problem: HttpProblem, request: FastifyRequest, reply: FastifyReply) {
    const body = bodyOf(problem, request.id)
    reply.problemCode = problem.code
    return (
      reply
        .code(body.status)
        // RFC 9110 § 11.6.1: every 401 says how to be let in.
        .headers({ ...(body.status === 401 ? { 'www-authenticate': 'Bearer' } : {}), ...problem.facts.headers })
        .type('application/problem+json')
        .send(body)
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

  return {
    answer,

    /** What was thrown on the way to an answer. */
    answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
      const problem = problemOf(error)
      if (!problem) {
        request.log.error({ err: error }, 'request failed')
        return answer(new HttpProblem('internal-error'), request, reply)
      }
      if (problem.cause) request.log.warn({ err: problem.cause }, problem.code)
      return answer(problem, request, reply)
    },

    /** What fastify refuses before it looks for a route: no hook runs for it. */
    answerEarly(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
      const problem = problemOf(error)
      if (!problem) log.error({ err: error, correlationId: request.id }, 'request failed')
      reply.headers(headersOf(request))
      void answer(problem ?? new HttpProblem('internal-error'), request, reply)
    },

    /** What Node refuses before there is a request: written by hand, since there is nothing yet that could answer. */
    answerOnSocket(error: NodeJS.ErrnoException, socket: Socket): void {
      if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
      const correlationId = newId()
      const code = clientProblems[error.code ?? ''] ?? 'invalid-request'
      const detail = code === 'invalid-request' ? { detail: 'This is not an HTTP request.' } : {}
      const body = bodyOf(new HttpProblem(code, detail), correlationId)
      const text = JSON.stringify(body)
      log.info({ correlationId, status: body.status, problem: code }, 'no request')
      const headers = {
        ...always,
        'content-type': 'application/problem+json; charset=utf-8',
        'content-length': Buffer.byteLength(text),
        'x-correlation-id': correlationId,
        connection: 'close',
      }
      socket.end(
        [
          `HTTP/1.1 ${body.status} ${STATUS_CODES[body.status] ?? ''}`,
          ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
          '',
          text,
        ].join('\r\n'),
        () => socket.destroy(),
      )
    },
  }
}
