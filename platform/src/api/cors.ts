import type { FastifyRequest } from 'fastify'
import type { Route } from './route'

/** Which pages of other origins a browser lets use the API. */
export interface CorsRules {
  /** As a browser writes them: `https://app.example.org`. Each is compared whole. Empty: none. */
  origins: ReadonlySet<string>
  /** Whether those pages may send cookies. */
  credentials: boolean
}

/** A browser asks again after ten minutes: an origin that is taken off the list is out by then. */
const maxAgeSeconds = 600
/** What a page may read of an answer's header, beside what Fetch always lets it read. */
const exposed = 'Allow, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Correlation-Id'
/** What any request may carry, beside the headers that routes name. */
const always = ['authorization', 'content-type', 'x-correlation-id']

/**
 * CORS as Fetch has it (https://fetch.spec.whatwg.org/#http-cors-protocol). A request of another origin is answered like any other, only
 * that the browser keeps the answer from the page: what a request may do is decided by tokens and, for cookies, by `cookies.ts`.
 */
export function createCors({ origins, credentials }: CorsRules, routes: readonly Pick<Route<never>, 'headers'>[]) {
  const named = routes.flatMap(({ headers }) => Object.keys(headers?.shape ?? {}))
  const allowedHeaders = [...new Set([...always, ...named, ...(credentials ? ['csrf-token'] : [])])].join(', ')

  /** Headers of every answer. */
  function headersOf({ headers: { origin } }: Pick<FastifyRequest, 'headers'>): Record<string, string> {
    if (origins.size === 0) return {}
    // Said to everybody, or a cache would hand one origin's answer to another.
    if (origin === undefined || !origins.has(origin)) return { vary: 'Origin' }
    return {
      vary: 'Origin',
      'access-control-allow-origin': origin,
      'access-control-expose-headers': exposed,
      ...(credentials ? { 'access-control-allow-credentials': 'true' } : {}),
    }
  }

  return {
    headersOf,

    /**
     * Headers of an answer to OPTIONS, beside those of every answer.
     * @param methods those of the path.
     */
    preflightOf({ headers }: Pick<FastifyRequest, 'headers'>, methods: readonly string[]): Record<string, string> {
      const isPreflight = headers['access-control-request-method'] !== undefined
      if (!isPreflight || headers.origin === undefined || !origins.has(headers.origin)) return {}
      return {
        'access-control-allow-methods': methods.join(', '),
        'access-control-allow-headers': allowedHeaders,
        'access-control-max-age': String(maxAgeSeconds),
      }
    },
  }
}
