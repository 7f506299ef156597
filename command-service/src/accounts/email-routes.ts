import {
  ChallengeAnswer,
  ChallengeSent,
  Changed,
  ChangeEmailRequest,
  UndoEmailRequest,
  UndoEmailResponse,
  type AnnalsApi,
} from '@annals/contracts'
import { routeDefiner } from '@annals/platform/api'
import { requestOf, withAccount, withPersonal, withShare, withStream } from '../core/command-routes'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { createEmailCommands } from './commands/email'

export interface EmailRouteDeps {
  emailCommands: ReturnType<typeof createEmailCommands>
  consistencyTokens: ConsistencyTokens
}

const defineRoute = routeDefiner<AnnalsApi, EmailRouteDeps>()

const changeEmail = defineRoute({
  operationId: 'changeEmail',
  method: 'POST',
  path: '/api/v1/users/me/email',
  summary: 'Ask for another e-mail address: a message there has to be answered. Whether it is taken is not told here',
  tag: 'me',
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'password-reset',
  body: ChangeEmailRequest,
  response: { status: 202, schema: ChallengeSent },
  problems: [...withAccount, ...withShare, ...withStream, ...withPersonal],
  examples: { change: { request: { email: 'countess@example.org' } } },
  async handle(request, { emailCommands }) {
    return { body: await emailCommands.ask(requestOf(request), request.principal, request.body.email) }
  },
})

const confirmEmail = defineRoute({
  operationId: 'confirmEmail',
  method: 'POST',
  path: '/api/v1/users/me/email/confirm',
  summary: 'Prove the new address, by link or code: it is that of the account from then on',
  tag: 'me',
  permission: 'own',
  rateLimit: 'secrets',
  body: ChallengeAnswer,
  response: { status: 200, schema: Changed },
  problems: [
    'challenge-failed',
    'email-taken',
    'too-many-changes',
    ...withAccount,
    ...withShare,
    ...withStream,
    ...withPersonal,
  ],
  examples: { code: { request: { challengeId: '0197c0de-0000-7000-8000-000000000001', code: '123456' } } },
  async handle(request, { emailCommands, consistencyTokens }) {
    const changed = await emailCommands.confirm(requestOf(request), request.principal, request.body)
    return { body: { consistencyToken: await consistencyTokens.of(changed) } }
  },
})

const undoEmail = defineRoute({
  operationId: 'undoEmail',
  method: 'POST',
  path: '/api/v1/users/me/email/undo',
  summary: 'Put the former address back, with the token of the mail that went there; all sessions end',
  tag: 'me',
  // The token is the proof: whoever lost the account can not log in to it.
  permission: 'public',
  rateLimit: 'password-reset',
  body: UndoEmailRequest,
  response: { status: 200, schema: UndoEmailResponse },
  problems: ['challenge-failed', 'user-not-found', ...withShare, ...withStream, ...withPersonal],
  examples: { undo: { request: { token: '0197c0de-…' }, answer: { passwordResetSent: true } } },
  async handle(request, { emailCommands }) {
    return { body: await emailCommands.undo(requestOf(request), request.body.token, request.ip) }
  },
})

export const emailRoutes = [changeEmail, confirmEmail, undoEmail]
