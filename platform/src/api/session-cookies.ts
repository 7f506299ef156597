import { createHmac, timingSafeEqual } from 'node:crypto'
import { parseCookie } from 'cookie'
import type { FastifyRequest } from 'fastify'
import type { Access } from './admission'
import { HttpProblem } from './problem'

/**
 * Names of the cookies that hold tokens. With `__Host-` a browser takes a cookie only over TLS, for this one host and all its paths: no
 * other host, a subdomain either, can set it.
 * @see https://www.rfc-editor.org/rfc/rfc6265#section-4.1.3 and draft-ietf-httpbis-rfc6265bis
 */
export const sessionCookies = { access: '__Host-annals-access', refresh: '__Host-annals-refresh' } as const

/** What a request that came with cookies is asked about. */
export interface Browser {
  /** Whether the request's principal is known by the access cookie, and not by a header. */
  readonly isByCookie: boolean
  /** @returns `undefined` when there is none. @throws HttpProblem unless a page sends it that may. */
  cookie(name: string): string | undefined
  /** @throws HttpProblem `cross-site-refused` unless a page sends the request that may use cookies. */
  requireOwnPage(): void
}

type Headers = FastifyRequest['headers']

/** RFC 9110 § 9.2.1: what changes nothing. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

const refused = (detail: string) => new HttpProblem('cross-site-refused', { detail })

/** 256 bits that show that whoever sends a request was given this session, and did not only come by its cookie. */
export const csrfProof = (csrfKey: Buffer, sessionId: string): string =>
  createHmac('sha256', csrfKey).update(`csrf|${sessionId}`).digest('base64url')

/** @throws HttpProblem `invalid-request` when it stands there twice: nobody knows which is meant. */
function cookieNamed(header: string | undefined, name: string): string | undefined {
  // Names with __Host- are compared as they are written.
  if (!header?.includes(name)) return undefined
  const found = header.split(';').filter((pair) => pair.trim().split('=', 1)[0]!.trim() === name)
  if (found.length > 1) throw new HttpProblem('invalid-request', { detail: `Send the cookie "${name}" once.` })
  return parseCookie(header)[name]
}

/**
 * A browser adds cookies to whatever a page sends, so a cookie alone says nothing about who wants it. Three things have to agree: the
 * origin that the browser names (for what changes something, always), where it says that the request comes from (Fetch Metadata, unless
 * the browser is too old for it), and the proof (`requireProof`).
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
 */
function requirePage(method: string, headers: Headers, origins: ReadonlySet<string>): void {
  const { origin } = headers
  const site = headers['sec-fetch-site']
  if (origin === undefined && !safeMethods.has(method)) throw refused('A request with cookies names its origin.')
  if (origin !== undefined && !origins.has(origin)) throw refused('Pages of this origin may not send cookies.')
  switch (site) {
    case undefined:
    case 'same-origin':
    case 'none':
      return
    case 'same-site':
      if (origin !== undefined) return
      throw refused('A request of another host of this site names its origin.')
    default:
      throw refused('A page of another site may not send cookies.')
  }
}

function requireProof(method: string, { 'csrf-token': shown }: Headers, proof: string): void {
  if (safeMethods.has(method)) return
  const [given, expected] = [Buffer.from(String(shown ?? '')), Buffer.from(proof)]
  if (given.length === expected.length && timingSafeEqual(given, expected)) return
  throw refused('Send the "csrfToken" that came with the session in a header "CSRF-Token".')
}

/** Tells who sends a request: by the header `Authorization` or, where cookies are on and there is none, by the access cookie. */
export function createIdentify<Principal>(access: Access<Principal>, csrfKey: Buffer | undefined) {
  return async (request: FastifyRequest): Promise<Principal> => {
    const { method, headers, browser } = request
    const token = headers.authorization === undefined ? browser?.cookie(sessionCookies.access) : undefined
    if (token === undefined) return access.authenticate(headers.authorization)
    const principal = await access.authenticate(`Bearer ${token}`)
    const session = access.sessionOf?.(principal)
    if (csrfKey === undefined || session === undefined) throw refused('This can not be asked with cookies.')
    requireProof(method, headers, csrfProof(csrfKey, session))
    request.isByCookie = true
    return principal
  }
}

/** For the requests of an API where cookies are on. */
export const browserOf = (request: FastifyRequest, origins: ReadonlySet<string>): Browser => {
  const { method, headers } = request
  const requireOwnPage = () => requirePage(method, headers, origins)
  return {
    isByCookie: request.isByCookie,
    requireOwnPage,
    cookie(name) {
      const value = cookieNamed(headers.cookie, name)
      if (value !== undefined) requireOwnPage()
      return value
    },
  }
}
