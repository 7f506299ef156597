import { AccessTokenClaims, type Principal, type SessionId } from '@annals/contracts'
import { createAuthentication, type Authenticate } from '@annals/platform/access-tokens'
import { HttpProblem } from '@annals/platform/http'

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

/** Who asks. @throws HttpProblem as {@link Authenticate} does, and `session-ended`. */
export function createAccess(options: AccessOptions): Authenticate<Principal> {
  const { jwksUrl, issuer, audience, isRevoked, onRevocationUnknown } = options
  const authenticate = createAuthentication({ keys: new URL(jwksUrl), issuer, audience, claims: AccessTokenClaims })

  async function hasEnded(sessionId: SessionId): Promise<boolean> {
    try {
      return await isRevoked(sessionId)
    } catch {
      onRevocationUnknown()
      return false
    }
  }

  return async (authorization) => {
    const principal = await authenticate(authorization)
    if (await hasEnded(principal.sessionId)) throw new HttpProblem('session-ended')
    return principal
  }
}
