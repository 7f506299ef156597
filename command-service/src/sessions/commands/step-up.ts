import { streamOf, type Principal } from '@annals/contracts'
import type { AccountCommands } from '../../accounts/account-command'
import type { CheckOwnPassword, OwnPassword } from '../../accounts/own-password'
import type { Request } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { Rejected } from '../../core/rejected'
import { sessionDecider, stepUp } from '../domain/session'
import type { IssueTokens, Tokens } from '../open-session'

export interface StepUpDeps {
  execute: Execute
  commands: AccountCommands
  checkOwnPassword: CheckOwnPassword
  issueTokens: IssueTokens
}

export type StepUpProof = Omit<OwnPassword, 'correlationId'>

/**
 * Somebody who is logged in shows again who they are. The session goes on with the refresh token that it has.
 * @returns its tokens. Only the access token is new: whoever has no more than an access token gets no longer life by this.
 * @throws InvalidCredentials; TooManyRequests; Overloaded; Rejected `session-ended`.
 */
export const createStepUp =
  ({ execute, commands, checkOwnPassword, issueTokens }: StepUpDeps) =>
  (request: Request, principal: Principal, proof: StepUpProof): Promise<Tokens & { authenticatedAt: string }> =>
    commands.asOwner(request, principal, async (context) => {
      const { sessionId, userId, epoch } = principal
      const { roles } = await checkOwnPassword(principal, { ...proof, correlationId: request.correlationId })
      const { state, revision, position } = await execute(sessionDecider, {
        stream: streamOf.session(sessionId),
        context,
        decide: stepUp({ methods: ['password'] }),
      })
      if (state.status !== 'active') throw new Rejected('session-ended')
      const { generation, authenticatedAt } = state
      const tokens = await issueTokens({
        sessionId,
        userId,
        roles,
        epoch,
        authenticatedAt,
        generation,
        revision,
        position,
      })
      return { ...tokens, authenticatedAt }
    })
