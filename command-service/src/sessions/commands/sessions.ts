import { streamOf, type Actor, type Principal, type SessionEndReason, type SessionId } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { Rejected } from '../../core/rejected'
import { end, refresh, sessionDecider } from '../domain/session'
import { holdsSession, userDecider } from '../../accounts/domain/user'
import type { Request } from '../../core/command-context'
import type { CountAttempt } from '../../core/attempts'
import type { Execute } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import type { IssueTokens, Tokens } from '../open-session'
import type { RefreshTokens } from '../refresh-tokens'

export interface SessionDeps {
  execute: Execute
  issueTokens: IssueTokens
  refreshTokens: RefreshTokens
  inFlight: InFlight
  countAttempt: CountAttempt
  now: () => string
}

/** Whoever shows a refresh token has not said who they are. */
const byItself: Actor = { type: 'system', id: 'session' }

export function createSessionCommands(deps: SessionDeps) {
  const { execute, issueTokens, refreshTokens, inFlight, countAttempt, now } = deps

  async function endOf(sessionId: SessionId, reason: SessionEndReason, correlationId: string, actor = byItself) {
    const commandId = newId()
    await execute(sessionDecider, {
      stream: streamOf.session(sessionId),
      context: { commandId, correlationId, causationId: commandId, actor, occurredAt: now() },
      decide: end({ reason }),
    })
  }

  return {
    /**
     * Exchanges a refresh token for the next one, with roles as they are now.
     * @throws Rejected `invalid-refresh-token` or `session-ended`; a token used before ends its session. TooManyRequests.
     */
    async refresh({ correlationId }: Request, refreshToken: string): Promise<Tokens> {
      const commandId = newId()
      // Nothing is looked up for what we have not made: 256 bits of a keyed hash are not guessed, however often
      // somebody tries.
      const shown = refreshTokens.read(refreshToken)
      if (!shown) throw new Rejected('invalid-refresh-token')
      const { sessionId, generation } = shown
      await countAttempt('refresh', 'family', sessionId)
      return inFlight.run({ commandId, purpose: 'sessions', principal: sessionId }, async () => {
        const at = now()
        const { state, revision, position } = await execute(sessionDecider, {
          stream: streamOf.session(sessionId),
          context: {
            commandId,
            correlationId,
            causationId: commandId,
            actor: byItself,
            occurredAt: at,
          },
          decide: refresh({ generation, at }),
        })
        if (state.status !== 'active') throw new Rejected('session-ended')
        const { userId, epoch, authenticatedAt, generation: current } = state
        const user = await execute.load(userDecider, streamOf.user(userId))
        if (user.state.status !== 'active' || !holdsSession(user.state, state)) {
          await endOf(sessionId, 'epoch', correlationId)
          throw new Rejected('session-ended')
        }
        const { roles } = user.state
        return issueTokens({
          sessionId,
          userId,
          roles,
          epoch,
          authenticatedAt,
          generation: current,
          revision,
          position,
        })
      })
    },

    /** Ends the bearer's session. */
    logout({ correlationId }: Request, { userId, sessionId }: Principal): Promise<void> {
      return inFlight.run({ commandId: newId(), purpose: 'sessions', principal: userId }, () =>
        endOf(sessionId, 'logout', correlationId, { type: 'user', id: userId }),
      )
    },
  }
}
