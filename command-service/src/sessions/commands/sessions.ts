import {
  streamOf,
  type Actor,
  type Principal,
  type SessionEndReason,
  type SessionId,
  type UserId,
} from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { Rejected } from '../../core/rejected'
import { end, endOwn, refresh, sessionDecider } from '../domain/session'
import { endSessions, holdsSession, userDecider, type EndSessions } from '../../accounts/domain/user'
import type { CommandContext, Request } from '../../core/command-context'
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

  function contextOf(userId: UserId, correlationId: string): CommandContext {
    const commandId = newId()
    const actor: Actor = { type: 'user', id: userId }
    return { commandId, correlationId, causationId: commandId, actor, occurredAt: now() }
  }

  function endAll(
    userId: UserId,
    { exceptSessionId, by }: Pick<EndSessions, 'exceptSessionId' | 'by'>,
    context: CommandContext,
  ): Promise<void> {
    const { commandId, actor, occurredAt: at } = context
    return inFlight.run({ commandId, purpose: 'sessions', principal: actor.id }, async () => {
      await execute(userDecider, {
        stream: streamOf.user(userId),
        context,
        decide: endSessions({ exceptSessionId, by, at }),
      })
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

    /** Ends a session of the bearer's own, the one at hand too. @throws Rejected `session-not-found`. */
    endOne({ correlationId }: Request, { userId }: Principal, sessionId: SessionId): Promise<void> {
      return inFlight.run({ commandId: newId(), purpose: 'sessions', principal: userId }, async () => {
        await execute(sessionDecider, {
          stream: streamOf.session(sessionId),
          context: contextOf(userId, correlationId),
          decide: endOwn({ userId }),
        })
      })
    },

    /** Ends all sessions of the bearer but the one at hand. @throws Rejected `too-many-changes`. */
    endOthers({ correlationId }: Request, { userId, sessionId }: Principal): Promise<void> {
      return endAll(userId, { exceptSessionId: sessionId, by: 'owner' }, contextOf(userId, correlationId))
    },

    /** Ends all sessions of somebody, for an administrator. @throws Rejected `user-not-found`. */
    endAllOf({ correlationId }: Request, administrator: Principal, userId: UserId): Promise<void> {
      return endAll(
        userId,
        { exceptSessionId: null, by: 'administrator' },
        contextOf(administrator.userId, correlationId),
      )
    },
  }
}
