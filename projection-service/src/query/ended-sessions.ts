import type { Principal } from '@annals/contracts'
import type { Pool } from '@annals/platform/postgres'
import type { RevocationMarks } from '@annals/platform/revocation'
import { tablesOf } from '../engine/tables/generation'
import { activity } from '../projections'

/** Whether a session was ended. @throws when that can not be known now. */
export type HasEnded = (principal: Principal) => Promise<boolean>

/** Ends of sessions that may still have access tokens within their time lie at most so far back: a token lives an hour at most. */
const lookBack = `interval '2 hours'`

/**
 * Redis says which sessions have ended. When it does not answer, or has forgotten, the read model `activity` says it:
 * every end of a session is a line there, within moments of the fact.
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
