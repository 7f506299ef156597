import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { jsonFault } from './json-text'
import { HttpProblem } from './problem'

/** Bytes that are no UTF-8 are an error, never U+FFFD: RFC 8259 § 8.1. A byte order mark is left to the JSON parser, which skips it. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const charsetForm = /;\s*charset\s*=\s*"?([^";\s]*)/gi
const utf8Names = new Set(['utf-8', 'utf8'])

/**
 * Reads a body of `application/json`: UTF-8, whatever the type says beside it. A request without content has no type either: where a
 * route needs no body, nothing is read.
 * @throws HttpProblem `unsupported-media-type`, `invalid-request`; fastify's own errors for what is no JSON.
 */
export function jsonBody(app: FastifyInstance) {
  const parse = app.getDefaultJsonParser('error', 'error')
  return (request: FastifyRequest, content: Buffer, done: (error: Error | null, body?: unknown) => void): void => {
    const schema = request.routeOptions.schema as { body?: unknown } | undefined
    if (content.length === 0 && schema?.body === undefined) return done(null, undefined)
    const charsets = [...(request.headers['content-type'] ?? '').matchAll(charsetForm)]
    if (charsets.some(([, charset]) => !utf8Names.has(charset!.toLowerCase())))
      return done(new HttpProblem('unsupported-media-type', { detail: 'Send the body in UTF-8.' }))
    let text: string
    try {
      text = utf8.decode(content)
    } catch {
      return done(new HttpProblem('invalid-request', { detail: 'The body is not valid UTF-8.' }))
    }
    const fault = jsonFault(text)
    if (fault !== undefined) return done(new HttpProblem('invalid-request', { detail: fault }))
    return void parse(request, text, done)
  }
}

/** RFC 9110 § 8.4: a body is read as it is; one that says that it is compressed is not guessed at. */
export function refuseEncodedBody(
  { headers }: FastifyRequest,
  _reply: FastifyReply,
  _body: unknown,
  done: () => void,
): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  if (encoding === undefined || encoding === 'identity') return done()
  const isEmpty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
  if (isEmpty) return done()
  throw new HttpProblem('unsupported-media-type', {
    detail: 'Send the body as it is, without a Content-Encoding.',
    headers: { 'accept-encoding': 'identity' },
  })
}
