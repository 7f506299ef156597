import type { Principal } from '@annals/contracts'
import type { Authenticate } from '@annals/platform/access-tokens'
import { Rejected } from '../core/rejected'
import type { Revocations } from '../sessions/revocations'
import type { AccessTokens } from '../sessions/access-tokens'

/**
 * Who sends a request, by its access token.
 * @throws HttpProblem as {@link Authenticate} does; Rejected `session-ended` when the token is within its time but its session is over.
 */
export const createAuthenticate =
  (accessTokens: AccessTokens, revocations: Revocations): Authenticate<Principal> =>
  async (authorization) => {
    const principal = await accessTokens.authenticate(authorization)
    if (await revocations.has(principal.sessionId)) throw new Rejected('session-ended')
    return principal
  }
