import type { AccountState, Principal, Role } from '@annals/contracts'
import type { Verdict } from '@annals/platform/access-tokens'
import type { Pool } from '@annals/platform/postgres'
import { judge, type RevocationMarks } from '@annals/platform/revocation'
import { tablesOf } from '../engine/tables/generation'
import { activity, users } from '../projections'

/** What is said to a token within its time. @throws when that can not be known now. */
export type VerdictOn = (principal: Principal) => Promise<Verdict>

/** Ends of sessions that may still have access tokens within their time lie at most so far back: a token lives an hour at most. */
const lookBack = `interval '2 hours'`

interface Row {
  has_ended: boolean
  /** `null`: the account is not there yet. */
  state: AccountState | null
  epoch: number
  except_session_id: string | null
  roles: Role[]
}

/**
 * Redis says which sessions have ended, and which accounts have changed what they say to tokens. When it does not answer, or has
 * forgotten, the read models say it: every end of a session is a line of `activity`, every account a row of `users`, within
 * moments of the fact.
 * @param onUnknown Redis could not tell.
 */
export function createVerdictOn(marks: Pick<RevocationMarks, 'ask'>, pool: Pool, onUnknown: () => void): VerdictOn {
  // The live ones, whatever former time this API shows.
  const sql = `
    select e.has_ended, u.state, u.epoch, u.except_session_id, u.roles
    from (select exists (
      select from ${tablesOf(activity, 'live').rows}
      where user_id = $1 and about = $2 and type = 'session.ended' and at > now() - ${lookBack}
    ) as has_ended) e
    left join ${tablesOf(users, 'live').rows} u on u.user_id = $1`

  return async (principal) => {
    const answer = await marks.ask(principal)
    if (answer !== 'unknown') return answer
    onUnknown()
    const { rows } = await pool.query<Row>(sql, [principal.userId, principal.sessionId])
    const { has_ended, state, epoch, except_session_id, roles } = rows[0]!
    if (has_ended) return 'ended'
    // Somebody who has registered this moment: nothing can have changed yet.
    if (state === null) return 'good'
    return judge(principal, { isActive: state === 'active', epoch, exceptSessionId: except_session_id, roles })
  }
}
