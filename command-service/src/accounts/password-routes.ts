import {
  Changed,
  ChangePasswordRequest,
  ForgotPasswordRequest,
  freshAuthentication,
  keptLine,
  ResetPasswordRequest,
  userAgentForm,
  type AnnalsApi,
} from '@annals/contracts'
import { requireFresh } from '@annals/platform/access-tokens'
import { routeDefiner } from '@annals/platform/api'
import { requestOf, withAccount, withPersonal, withShare, withStream } from '../core/command-routes'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { createForgottenPassword } from './commands/forgotten-password'
import type { createPasswordCommands } from './commands/passwords'

export interface PasswordRouteDeps {
  forgottenPassword: ReturnType<typeof createForgottenPassword>
  passwordCommands: ReturnType<typeof createPasswordCommands>
  consistencyTokens: ConsistencyTokens
}

const defineRoute = routeDefiner<AnnalsApi, PasswordRouteDeps>()

const assertFresh = requireFresh(freshAuthentication)

const forgotPassword = defineRoute({
  operationId: 'forgotPassword',
  method: 'POST',
  path: '/api/v1/auth/password/forgot',
  summary: 'Have a link for a new password sent, if the address is that of an account; the answer does not tell',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'password-reset',
  body: ForgotPasswordRequest,
  response: { status: 202 },
  problems: [...withShare],
  examples: { forgotten: { request: { email: 'ada@example.org' } } },
  async handle(request, { forgottenPassword }) {
    forgottenPassword(requestOf(request), request.body.email)
    return {}
  },
})

const resetPassword = defineRoute({
  operationId: 'resetPassword',
  method: 'POST',
  path: '/api/v1/auth/password/reset',
  summary: 'Set a new password with the token of such a link; it begins no session, and ends all there are',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'password-reset',
  body: ResetPasswordRequest,
  response: { status: 204 },
  problems: [
    'challenge-failed',
    'account-disabled',
    'user-not-found',
    'password-too-short',
    'password-too-common',
    'too-many-changes',
    ...withShare,
    ...withStream,
    ...withPersonal,
  ],
  examples: { reset: { request: { token: '0197c0de-…', password: 'quite another staple of horses' } } },
  async handle(request, { passwordCommands }) {
    const userAgent = keptLine(request.userAgent ?? '', userAgentForm)
    await passwordCommands.reset(requestOf(request), { ...request.body, ip: request.ip, userAgent })
    return {}
  },
})

const changePassword = defineRoute({
  operationId: 'changePassword',
  method: 'PUT',
  path: '/api/v1/users/me/password',
  summary: 'Change the password; all other sessions end',
  tag: 'me',
  permission: 'own',
  rateLimit: 'secrets',
  body: ChangePasswordRequest,
  response: { status: 200, schema: Changed },
  problems: [
    'invalid-credentials',
    'authentication-too-old',
    'concurrent-change',
    'password-too-short',
    'password-too-common',
    'too-many-changes',
    ...withAccount,
    ...withShare,
    ...withStream,
    ...withPersonal,
  ],
  examples: {
    change: { request: { currentPassword: 'correct horse battery', newPassword: 'quite another staple of horses' } },
  },
  async handle(request, { passwordCommands, consistencyTokens }) {
    const { body, ip, principal } = request
    // Without a password to show, the session has to be fresh.
    if (body.currentPassword === undefined) assertFresh(principal)
    const userAgent = keptLine(request.userAgent ?? '', userAgentForm)
    const { currentPassword, newPassword } = body
    const given = { currentPassword, newPassword, ip, userAgent }
    const changed = await passwordCommands.change(requestOf(request), principal, given)
    return { body: { consistencyToken: await consistencyTokens.of(changed) } }
  },
})

export const passwordRoutes = [forgotPassword, resetPassword, changePassword]
