import { streamOf, type Principal } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { Rejected } from '../../core/rejected'
import { end, refresh, sessionDecider } from '../domain/session'
import { userDecider } from '../../accounts/domain/user'
import type { Request } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import type { Revocations } from '../revocations'
import type { AccessTokens } from '../access-tokens'
import type { RefreshTokens } from '../refresh-tokens'
import type { Tokens } from './login'

export interface SessionDeps {
  execute: Execute
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  revocations: Revocations
  inFlight: InFlight
  now: () => string
}

export function createSessionCommands(deps: SessionDeps) {
  const { execute, accessTokens, refreshTokens, revocations, inFlight, now } = deps

  return {
    /**
     * Exchanges a refresh token for the next one, with roles as they are now.
     * @throws Rejected `invalid-refresh-token` or `session-ended`; a token used before ends its session.
     */
    async refresh({ correlationId }: Request, refreshToken: string): Promise<Tokens> {
      const commandId = newId()
      // Nothing is looked up for what we have not made: 256 bits of a keyed hash are not guessed, however often
      // somebody tries.
      const shown = refreshTokens.read(refreshToken)
      if (!shown) throw new Rejected('invalid-refresh-token')
      const { sessionId, generation } = shown
      return inFlight.run({ commandId, purpose: 'sessions', principal: sessionId }, async () => {
        const at = now()
        const { state, revision, position } = await execute(sessionDecider, {
          stream: streamOf.session(sessionId),
          context: {
            commandId,
            correlationId,
            causationId: commandId,
            actor: { type: 'system', id: 'session' },
            occurredAt: at,
          },
          decide: refresh({ generation, at }),
        })
        if (state.status !== 'active') {
          await revocations.add(sessionId)
          throw new Rejected('session-ended')
        }
        const { userId } = state
        const user = await execute.load(userDecider, streamOf.user(userId))
        if (user.state.status !== 'registered') throw new Rejected('session-ended')
        return {
          accessToken: await accessTokens.issue({ userId, sessionId, roles: user.state.roles }),
          refreshToken: refreshTokens.issue(sessionId, state.generation),
          expiresIn: accessTokens.lifeSeconds,
          sessionId,
          userId,
          revision,
          position,
        }
      })
    },

    /** Ends the bearer's session. The fact comes first, then Redis hears of it. */
    logout({ correlationId }: Request, { userId, sessionId }: Principal): Promise<void> {
      const commandId = newId()
      return inFlight.run({ commandId, purpose: 'sessions', principal: userId }, async () => {
        await execute(sessionDecider, {
          stream: streamOf.session(sessionId),
          context: {
            commandId,
            correlationId,
            causationId: commandId,
            actor: { type: 'user', id: userId },
            occurredAt: now(),
          },
          decide: end({ reason: 'logout' }),
        })
        await revocations.add(sessionId)
      })
    },
  }
}
