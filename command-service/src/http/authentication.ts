import type { FastifyRequest } from 'fastify'
import { Rejected } from '../domain/rejected'
import type { Revocations } from '../sessions/revocations'
import type { AccessTokens, Principal } from '../tokens/access-tokens'
import { unauthenticated } from './problems'

export type Authenticate = (request: FastifyRequest) => Promise<Principal>

/**
 * Who sends a request, by its access token.
 * @throws HttpProblem `unauthenticated`; Rejected `session-ended` when the token is within its time but its session is over.
 */
export const createAuthenticate =
  (accessTokens: AccessTokens, revocations: Revocations): Authenticate =>
  async ({ headers: { authorization } }) => {
    const token = /^Bearer ([\w.-]{1,4096})$/i.exec(authorization ?? '')?.[1]
    const principal = token && (await accessTokens.verify(token))
    if (!principal) throw unauthenticated()
    if (await revocations.has(principal.sessionId)) throw new Rejected('session-ended')
    return principal
  }
