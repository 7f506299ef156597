import { hash } from 'node:crypto'
import { createRemoteJWKSet, errors, jwtVerify, type CryptoKey, type JWTVerifyGetKey } from 'jose'
import { LRUCache } from 'lru-cache'
import type { z } from 'zod'
import { HttpProblem } from '../api'

export { requireFresh, type FreshAuthentication } from './fresh'

/** The one algorithm: a token that names another is refused, whatever its signature. */
export const accessTokenAlgorithm = 'EdDSA'
/** `typ` of an access token: RFC 9068 § 2.1. No other token of the same issuer passes for one. */
export const accessTokenType = 'at+jwt'

/** An access token lives an hour at most; fifteen minutes unless the command API is told otherwise. */
export const accessTokenSecondsMax = 3_600
/** Clocks of our processes differ by less. */
export const clockToleranceSeconds = 5
/** Ours have some 400. */
const tokenCharsMax = 4_096
/** Tokens whose signature was checked: 300 bytes each, so 3 MB. A verification costs more than all else in a small request. */
const verifiedMax = 10_000

/**
 * What is said to a token that is within its time. `stale`: its session goes on, but it claims roles that its bearer does not
 * have any more, or not yet; a refresh mends that.
 */
export type Verdict = 'good' | 'ended' | 'stale'

export interface AuthenticationOptions<Principal> {
  /** The public key, or where the issuer publishes its keys (RFC 7517). */
  keys: CryptoKey | URL
  issuer: string
  audience: string
  /** What a token has to claim, and what is known of its bearer by it. */
  claims: z.ZodType<Principal>
  /**
   * What is said to a token within its time: whether its session has ended, and whether it claims what its bearer has.
   * @throws when that can not be known now: nobody is let in then.
   */
  verdictOn: (principal: Principal) => Promise<Verdict>
  /**
   * How long a signature that was checked, and a set of keys that was fetched, are taken as they were, in ms. Default 60,000: a key that
   * is withdrawn lets nobody in after two minutes, or after eleven while the set can not be fetched.
   */
  recheckMs?: number
}

/**
 * @param authorization the header `Authorization` of a request.
 * @throws HttpProblem `unauthenticated`; `session-ended`; `dependency-unavailable` when the keys can not be fetched. What `verdictOn` throws.
 */
export type Authenticate<Principal> = (authorization: string | undefined) => Promise<Principal>

/** A 401 that asks for a token (RFC 6750 § 3). */
const unauthenticated = () =>
  new HttpProblem('unauthenticated', {
    detail:
      'Send "Authorization: Bearer <access token>" with a token that has not expired; a login or a refresh brings one.',
  })

const keySetFaults = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'])

/** Faults of whoever publishes the keys, rather than of the token, which may be good. */
const isKeySetFault = (error: unknown): boolean => !(error instanceof errors.JOSEError) || keySetFaults.has(error.code)

/** A set of keys that can not be fetched again is good for so long. */
const keySetMsMax = 10 * 60_000
const recheckMsDefault = 60_000

function publishedKeys(url: URL, recheckMs: number): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: 3_000,
    // A key that is not known is asked for at most this often, whatever tokens strangers send.
    cooldownDuration: 5_000,
    cacheMaxAge: keySetMsMax,
  })
  let askedAt = Number.NEGATIVE_INFINITY
  return async (header, token) => {
    if (keys.fresh && performance.now() - askedAt >= recheckMs) {
      askedAt = performance.now()
      // What was fetched before does for its time.
      await keys.reload().catch(() => undefined)
    } else if (!keys.fresh) askedAt = performance.now()
    return keys(header, token)
  }
}

/**
 * Whether a part of a token is written as the issuer writes it: JSON without a repeated member, which some readers take the first of and
 * others the last (RFC 7519 § 4).
 */
function isPlain(part: string): boolean {
  try {
    const text = Buffer.from(part, 'base64url').toString()
    return JSON.stringify(JSON.parse(text)) === text
  } catch {
    return false
  }
}

/** Tells who sends a request by its access token: a JWT (RFC 9068) of this issuer, for this audience, within its time. */
export function createAuthenticator<Principal extends { expiresAt: number }>(
  options: AuthenticationOptions<Principal>,
): Authenticate<Principal> {
  const { keys, issuer, audience, claims, verdictOn, recheckMs = recheckMsDefault } = options
  const keyOf: JWTVerifyGetKey = keys instanceof URL ? publishedKeys(keys, recheckMs) : async () => keys
  const expected = {
    issuer,
    audience,
    algorithms: [accessTokenAlgorithm],
    typ: accessTokenType,
    clockTolerance: clockToleranceSeconds,
    // Whatever a token says of its end, none is older than the oldest that is issued. It needs `iat` for that.
    maxTokenAge: accessTokenSecondsMax,
  }
  const verified = new LRUCache<string, Principal>({ max: verifiedMax, ttl: recheckMs })

  async function verify(token: string): Promise<Principal> {
    const [header, payload] = token.split('.')
    if (!isPlain(header!) || !isPlain(payload!)) throw unauthenticated()
    const checked = await jwtVerify(token, keyOf, expected).catch((error: unknown) => {
      if (!isKeySetFault(error)) throw unauthenticated()
      throw new HttpProblem('dependency-unavailable', {
        detail: 'The keys that verify access tokens cannot be fetched now.',
        headers: { 'retry-after': '2' },
        cause: error,
      })
    })
    const principal = claims.safeParse(checked.payload)
    if (!principal.success) throw unauthenticated()
    return principal.data
  }

  return async (authorization) => {
    // RFC 9110 § 11.4: one space or more.
    const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1]
    if (!token || token.length > tokenCharsMax) throw unauthenticated()
    // The hash stands for the token: a dump of the process's memory hands out fewer of them.
    const name = hash('sha256', token, 'base64')
    let principal = verified.get(name)
    if (!principal) {
      principal = await verify(token)
      verified.set(name, principal)
    }
    if (Date.now() / 1_000 >= principal.expiresAt + clockToleranceSeconds) throw unauthenticated()
    switch (await verdictOn(principal)) {
      case 'good':
        return principal
      case 'ended':
        throw new HttpProblem('session-ended', { detail: 'Log in again.' })
      case 'stale':
        throw unauthenticated()
    }
  }
}
