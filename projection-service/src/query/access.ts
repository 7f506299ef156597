import { AccessTokenClaims, type Principal } from '@annals/contracts'
import { createAuthentication, type Authenticate } from '@annals/platform/access-tokens'
import { HttpProblem } from '@annals/platform/api'
import type { Pool } from '@annals/platform/postgres'
import type { RevocationMarks } from '@annals/platform/revocation'
import { tablesOf } from '../engine/tables/generation'
import { activity } from '../projections'

export interface AccessOptions {
  /** Where the command API publishes its public keys (RFC 7517). */
  jwksUrl: string
  issuer: string
  audience: string
  /** Whether a session was ended. @throws when that can not be known now: nobody is let in then. */
  hasEnded: HasEnded
}

export type HasEnded = (principal: Principal) => Promise<boolean>

/** Who asks. @throws HttpProblem as {@link Authenticate} does, and `session-ended`. */
export function createAccess({ jwksUrl, issuer, audience, hasEnded }: AccessOptions): Authenticate<Principal> {
  const authenticate = createAuthentication({ keys: new URL(jwksUrl), issuer, audience, claims: AccessTokenClaims })
  return async (authorization) => {
    const principal = await authenticate(authorization)
    if (await hasEnded(principal)) throw new HttpProblem('session-ended')
    return principal
  }
}

/** Ends of sessions that may still have access tokens within their time lie at most so far back: a token lives an hour at most. */
const lookBack = `interval '2 hours'`

/**
 * Redis tells which sessions have ended; when it does not answer, or has forgotten, what people did does: every end of a session
 * is a line of the read model `activity`, there within moments of the fact.
 * @param onUnknown Redis could not tell.
 */
export function createHasEnded(marks: Pick<RevocationMarks, 'ask'>, pool: Pool, onUnknown: () => void): HasEnded {
  // The live one, whatever former time this API shows.
  const { rows } = tablesOf(activity, 'live')
  return async ({ sessionId, userId }) => {
    const answer = await marks.ask(sessionId)
    if (answer !== 'unknown') return answer === 'ended'
    onUnknown()
    const found = await pool.query(
      `select from ${rows} where user_id = $1 and about = $2 and type = 'session.ended' and at > now() - ${lookBack} limit 1`,
      [userId, sessionId],
    )
    return found.rowCount === 1
  }
}
