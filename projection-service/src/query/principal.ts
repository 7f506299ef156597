import { createHash } from 'node:crypto'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { Role, SessionId, UserId } from '@annals/contracts'
import { HttpProblem } from '@annals/platform/http'

/** Who asks. */
export interface Principal {
  userId: UserId
  sessionId: SessionId
  roles: readonly Role[]
  /** Epoch seconds. */
  expiresAt: number
}

export interface AccessOptions {
  /** Where the command API publishes its public keys (RFC 7517). */
  jwksUrl: string
  issuer: string
  audience: string
  /** Whether a session was ended; throws when that cannot be known now. */
  isRevoked: (sessionId: SessionId) => Promise<boolean>
  /** Revocation could not be asked: the token is accepted until it expires, at most 15 minutes. */
  onRevocationUnknown: () => void
}

/** The one algorithm: a token that names another is refused, whatever its signature. */
const algorithm = 'EdDSA'
/** Clocks of our processes differ by less. */
const clockToleranceSeconds = 5
/** Checked tokens: 300 bytes each, so 3 MB. */
const verifiedMax = 10_000

const Claims = z.object({ sub: UserId, sid: SessionId, roles: z.array(Role), exp: z.int() })

const unauthenticated = () =>
  new HttpProblem('unauthenticated', {
    detail: 'Send "Authorization: Bearer <accessToken>" with a token that has not expired.',
    headers: { 'WWW-Authenticate': 'Bearer' },
  })

/** Faults of the token; every other is one of reaching the keys. */
const isTokenFault = (error: unknown): boolean =>
  error instanceof z.ZodError ||
  (error instanceof errors.JOSEError && /^ERR_(JWT|JWS|JWKS_NO_MATCHING|JOSE_ALG|JOSE_NOT_SUPPORTED)/.test(error.code))

/**
 * Reads who asks from the `Authorization` header.
 * @throws HttpProblem `unauthenticated`, `session-ended`, or `dependency-unavailable` when the keys cannot be fetched.
 */
export function createAccess(
  options: AccessOptions,
): (authorization: string | undefined, nowSeconds: number) => Promise<Principal> {
  const { issuer, audience, isRevoked, onRevocationUnknown } = options
  const keys = createRemoteJWKSet(new URL(options.jwksUrl), {
    timeoutDuration: 3_000,
    // A key that is not known is asked for at most this often, whatever tokens strangers send.
    cooldownDuration: 5_000,
    cacheMaxAge: 10 * 60_000,
  })
  const verified = new LRUCache<string, Principal>({ max: verifiedMax })

  async function check(token: string): Promise<Principal> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: [algorithm],
        clockTolerance: clockToleranceSeconds,
        typ: 'at+jwt',
      })
      const { sub, sid, roles, exp } = Claims.parse(payload)
      return { userId: sub, sessionId: sid, roles, expiresAt: exp }
    } catch (error) {
      if (isTokenFault(error)) throw unauthenticated()
      throw new HttpProblem('dependency-unavailable', {
        detail: 'The keys that access tokens are checked with cannot be fetched now.',
        headers: { 'Retry-After': '2' },
        cause: error,
      })
    }
  }

  async function hasEnded(sessionId: SessionId): Promise<boolean> {
    try {
      return await isRevoked(sessionId)
    } catch {
      onRevocationUnknown()
      return false
    }
  }

  return async (authorization, nowSeconds) => {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1]
    if (!token) throw unauthenticated()
    // The hash stands for the token: a dump of the process's memory hands out fewer of them.
    const name = createHash('sha256').update(token).digest('base64')
    let principal = verified.get(name)
    if (!principal) {
      principal = await check(token)
      verified.set(name, principal)
    }
    if (nowSeconds >= principal.expiresAt + clockToleranceSeconds) throw unauthenticated()
    if (await hasEnded(principal.sessionId)) throw new HttpProblem('session-ended')
    return principal
  }
}

export const isAdmin = ({ roles }: Principal): boolean => roles.includes('admin')
