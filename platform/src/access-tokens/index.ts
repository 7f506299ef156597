import { createHash } from 'node:crypto'
import { createRemoteJWKSet, errors, jwtVerify, type CryptoKey, type JWTVerifyGetKey } from 'jose'
import { LRUCache } from 'lru-cache'
import type { z } from 'zod'
import { HttpProblem } from '../api'

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

export interface AuthenticationOptions<Principal> {
  /** The public key, or where the issuer publishes its keys (RFC 7517). */
  keys: CryptoKey | URL
  issuer: string
  audience: string
  /** What a token has to claim, and what is known of its bearer by it. */
  claims: z.ZodType<Principal>
}

/**
 * @param authorization the header `Authorization` of a request.
 * @throws HttpProblem `unauthenticated`, or `dependency-unavailable` when the keys can not be fetched.
 */
export type Authenticate<Principal> = (authorization: string | undefined) => Promise<Principal>

/** A 401 that asks for a token (RFC 6750 § 3). */
const unauthenticated = () =>
  new HttpProblem('unauthenticated', {
    detail:
      'Send "Authorization: Bearer <access token>" with a token that has not expired; a login or a refresh brings one.',
    headers: { 'www-authenticate': 'Bearer' },
  })

const keySetFaults = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'])

/** Faults of whoever publishes the keys, rather than of the token, which may be good. */
const isKeySetFault = (error: unknown): boolean => !(error instanceof errors.JOSEError) || keySetFaults.has(error.code)

const publishedKeys = (url: URL): JWTVerifyGetKey =>
  createRemoteJWKSet(url, {
    timeoutDuration: 3_000,
    // A key that is not known is asked for at most this often, whatever tokens strangers send.
    cooldownDuration: 5_000,
    cacheMaxAge: 10 * 60_000,
  })

/** Tells who sends a request by its access token: a JWT (RFC 9068) of this issuer, for this audience, within its time. */
export function createAuthentication<Principal extends { expiresAt: number }>(
  options: AuthenticationOptions<Principal>,
): Authenticate<Principal> {
  const { keys, issuer, audience, claims } = options
  const keyOf: JWTVerifyGetKey = keys instanceof URL ? publishedKeys(keys) : async () => keys
  const expected = {
    issuer,
    audience,
    algorithms: [accessTokenAlgorithm],
    typ: accessTokenType,
    clockTolerance: clockToleranceSeconds,
  }
  const verified = new LRUCache<string, Principal>({ max: verifiedMax })

  async function verify(token: string): Promise<Principal> {
    const checked = await jwtVerify(token, keyOf, expected).catch((error: unknown) => {
      if (!isKeySetFault(error)) throw unauthenticated()
      throw new HttpProblem('dependency-unavailable', {
        detail: 'The keys that access tokens are checked with can not be fetched now.',
        headers: { 'retry-after': '2' },
        cause: error,
      })
    })
    const principal = claims.safeParse(checked.payload)
    if (!principal.success) throw unauthenticated()
    return principal.data
  }

  return async (authorization) => {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1]
    if (!token || token.length > tokenCharsMax) throw unauthenticated()
    // The hash stands for the token: a dump of the process's memory hands out fewer of them.
    const name = createHash('sha256').update(token).digest('base64')
    let principal = verified.get(name)
    if (!principal) {
      principal = await verify(token)
      verified.set(name, principal)
    }
    if (Date.now() / 1_000 >= principal.expiresAt + clockToleranceSeconds) throw unauthenticated()
    return principal
  }
}
