import { AccessTokenClaims, isAdmin } from '@annals/contracts'
import { createAuthentication } from '@annals/platform/access-tokens'
import { HttpProblem } from '@annals/platform/api'

export interface AccessOptions {
  /** Where the command API publishes its public keys (RFC 7517). */
  jwksUrl: string
  issuer: string
  audience: string
}

/** Lets administrators pass. @throws HttpProblem `unauthenticated`, `forbidden` or `dependency-unavailable`. */
export type RequireAdmin = (authorization: string | undefined) => Promise<void>

/** Asks for an access token of the command service with the role `admin`. */
export function createRequireAdmin({ jwksUrl, issuer, audience }: AccessOptions): RequireAdmin {
  const authenticate = createAuthentication({ keys: new URL(jwksUrl), issuer, audience, claims: AccessTokenClaims })
  return async (authorization) => {
    if (!isAdmin(await authenticate(authorization))) throw new HttpProblem('forbidden')
  }
}
