import { Role, UserId } from '@annals/contracts'
import { HttpProblem } from '@annals/platform/http'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { z } from 'zod'

export interface AccessOptions {
  jwksUrl: string
  issuer: string
  audience: string
}

/** Lets administrators pass. @throws HttpProblem `unauthenticated`, `forbidden` or `dependency-unavailable`. */
export type RequireAdmin = (authorization: string | undefined) => Promise<void>

/** Clocks of our processes differ by less. */
const clockToleranceSeconds = 5

const Claims = z.object({ sub: UserId, roles: z.array(Role) })

const keySetFaults = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'])

/** Faults of the key set's server rather than of the token; the token may be good. */
const isKeySetFault = (error: unknown): boolean => !(error instanceof errors.JOSEError) || keySetFaults.has(error.code)

/** Checks access tokens of the command service: EdDSA, issuer, audience, expiry and the role `admin`. */
export function createRequireAdmin({ jwksUrl, issuer, audience }: AccessOptions): RequireAdmin {
  const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 3_000 })
  return async (authorization) => {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1]
    if (!token) throw unauthenticated('Send an access token as "Authorization: Bearer …".')
    const expected = { issuer, audience, algorithms: ['EdDSA'], typ: 'at+jwt', clockTolerance: clockToleranceSeconds }
    const verified = await jwtVerify(token, keys, expected).catch((error: unknown) => {
      if (!isKeySetFault(error)) throw unauthenticated('The access token is not valid any more, or not ours.')
      throw new HttpProblem('dependency-unavailable', {
        detail: 'The keys that access tokens are checked with can not be read at the moment.',
        headers: { 'retry-after': '2' },
        cause: error,
      })
    })
    const claims = Claims.safeParse(verified.payload)
    if (!claims.success) throw unauthenticated('The access token is not one of ours.')
    if (!claims.data.roles.includes('admin')) throw new HttpProblem('forbidden')
  }
}

const unauthenticated = (detail: string) =>
  new HttpProblem('unauthenticated', { detail, headers: { 'www-authenticate': 'Bearer' } })
