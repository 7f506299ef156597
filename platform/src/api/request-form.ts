import type { FastifyRequest } from 'fastify'
import { HttpProblem } from './problem'

/** Of these a request has one: two that differ are read as one by some and as the other by others (RFC 9110 § 5.3, RFC 9112 § 3.2). */
const singleHeaders = new Set(['host', 'authorization', 'content-type', 'idempotency-key', 'origin', 'csrf-token'])
/** Lines of a header. Browsers and proxies together send some 40; Node drops what comes after the thousandth, in silence. */
const headerLinesMax = 100
/** No query has more than ten. */
const parametersMax = 50

/** @returns the name of a header that stands there twice and must not; `undefined`: none does. */
function repeatedHeader(rawHeaders: readonly string[]): string | undefined {
  const seen = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (!singleHeaders.has(name)) continue
    if (seen.has(name)) return rawHeaders[i]
    seen.add(name)
  }
  return undefined
}

/**
 * What every request has to keep to, whatever it asks for: each thing said once, and no more of it than anybody needs.
 * @throws HttpProblem `invalid-request`, `header-fields-too-large`.
 */
export function requireForm({ raw, headers, query }: FastifyRequest): void {
  if (raw.rawHeaders.length > headerLinesMax * 2)
    throw new HttpProblem('header-fields-too-large', { detail: `Send ${headerLinesMax} header lines at most.` })
  // RFC 9112 § 3.2: an HTTP/1.1 request names its host.
  if (headers.host === undefined && raw.httpVersion === '1.1')
    throw new HttpProblem('invalid-request', { detail: 'Send a header "Host".' })
  const repeated = repeatedHeader(raw.rawHeaders)
  if (repeated !== undefined)
    throw new HttpProblem('invalid-request', { detail: `Send the header "${repeated}" once.` })
  if (!raw.url!.includes('?')) return
  const parameters = query as Record<string, unknown>
  const names = Object.keys(parameters)
  if (names.length > parametersMax)
    throw new HttpProblem('invalid-request', { detail: `Send ${parametersMax} parameters at most.` })
  const twice = names.find((name) => Array.isArray(parameters[name]))
  if (twice !== undefined)
    throw new HttpProblem('invalid-request', {
      errors: [{ pointer: `/querystring/${twice}`, message: 'must be there once' }],
    })
}
