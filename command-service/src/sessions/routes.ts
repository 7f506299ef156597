import { z } from 'zod'
import {
  freshAuthentication,
  LoginRequest,
  RefreshRequest,
  SecondFactorNeeded,
  SessionResponse,
  streamOf,
  SessionId,
  EndSessionsQuery,
  UserId,
  StepUpRequest,
  StepUpResponse,
  ValidateResponse,
  VerifyEmailRequest,
  VerifyEmailResponse,
  type AnnalsApi,
} from '@annals/contracts'
import { HttpProblem, routeDefiner, sessionCookies, type Browser } from '@annals/platform/api'
import { requestOf, withAccount, withPersonal, withShare, withStream } from '../core/command-routes'
import type { AccessTokens } from './access-tokens'
import type { createLogin } from './commands/login'
import type { createSessionCommands } from './commands/sessions'
import type { createVerifyEmail } from './commands/verify-email'
import type { createStepUp } from './commands/step-up'
import { answerOf, clientOf, deliveryHeaders, wantsCookies, type TokenAnswerDeps } from './token-answer'

export interface SessionRouteDeps extends TokenAnswerDeps {
  login: ReturnType<typeof createLogin>
  verifyEmail: ReturnType<typeof createVerifyEmail>
  sessions: ReturnType<typeof createSessionCommands>
  stepUp: ReturnType<typeof createStepUp>
  accessTokens: Pick<AccessTokens, 'jwks'>
}

const defineRoute = routeDefiner<AnnalsApi, SessionRouteDeps>()

/**
 * The cookie is taken only where the answer is cookies again: a script of the page never gets to see what stands in it.
 * @throws HttpProblem `invalid-request` when there is none.
 */
function refreshTokenOf(
  { body, browser }: { body: z.output<typeof RefreshRequest>; browser: Browser | undefined },
  isForCookies: boolean,
): string {
  const token = body.refreshToken ?? (isForCookies ? browser?.cookie(sessionCookies.refresh) : undefined)
  if (token !== undefined) return token
  throw new HttpProblem('invalid-request', {
    errors: [{ pointer: '/body/refreshToken', message: 'must be there, unless it comes as a cookie' }],
  })
}

const login = defineRoute({
  operationId: 'login',
  method: 'POST',
  path: '/api/v1/auth/login',
  summary: 'Begin a session: an access token, and a refresh token for the next one; or what second factor is asked for',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'authentication',
  headers: deliveryHeaders,
  body: LoginRequest,
  response: { status: 200, schema: z.union([SessionResponse, SecondFactorNeeded]) },
  problems: ['invalid-credentials', 'cross-site-refused', ...withShare, ...withStream, ...withPersonal],
  examples: { login: { request: { email: 'ada@example.org', password: 'correct horse battery' } } },
  async handle(request, deps) {
    const { body, correlationId } = request
    const isForCookies = wantsCookies(request)
    const outcome = await deps.login(requestOf({ correlationId }), { ...body, ...clientOf(request) })
    if (outcome.isHalfWay) return { body: { mfa: { ...outcome.halfWay, factors: [...outcome.halfWay.factors] } } }
    return answerOf(outcome.tokens, isForCookies, deps)
  },
})

const verifyEmail = defineRoute({
  operationId: 'verifyEmail',
  method: 'POST',
  path: '/api/v1/auth/verify-email',
  summary: 'Prove an e-mail address, by the token of the link or the code; it completes a registration and logs in',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'authentication',
  headers: deliveryHeaders,
  body: VerifyEmailRequest,
  response: { status: 200, schema: VerifyEmailResponse },
  problems: ['challenge-failed', 'registration-superseded', ...withShare, ...withStream, ...withPersonal],
  examples: {
    code: { request: { registrationId: '4e915742-7777-4444-8555-966677778888', code: '123456' } },
    link: { request: { token: 'c4a11e46-5555-5444-8555-966677778888.mac' } },
  },
  async handle(request, deps) {
    const isForCookies = wantsCookies(request)
    const verified = await deps.verifyEmail(requestOf({ correlationId: request.correlationId }), {
      answer: request.body,
      ...clientOf(request),
    })
    const { userId, revision, position } = verified
    const stream = streamOf.user(userId)
    const consistencyToken = await deps.consistencyTokens.of({ stream, revision, position })
    if (!verified.session) return { body: { userId, consistencyToken, session: null } }
    const { body: session, ...cookies } = await answerOf(verified.session, isForCookies, deps)
    return { body: { userId, consistencyToken, session }, ...cookies }
  },
})

const refresh = defineRoute({
  operationId: 'refresh',
  method: 'POST',
  path: '/api/v1/auth/refresh',
  summary: 'Exchange a refresh token for new tokens; one that was used before ends the session',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'refresh',
  headers: deliveryHeaders,
  body: RefreshRequest,
  response: { status: 200, schema: SessionResponse },
  problems: ['invalid-refresh-token', 'cross-site-refused', 'session-ended', ...withShare, ...withStream],
  async handle(request, deps) {
    const isForCookies = wantsCookies(request)
    const shown = refreshTokenOf(request, isForCookies)
    const tokens = await deps.sessions.refresh(requestOf({ correlationId: request.correlationId }), shown)
    return answerOf(tokens, isForCookies, deps)
  },
})

const stepUp = defineRoute({
  operationId: 'stepUp',
  method: 'POST',
  path: freshAuthentication.stepUp,
  summary: 'Show again who you are, inside a session: an access token that counts as fresh',
  tag: 'auth',
  permission: 'own',
  rateLimit: 'secrets',
  body: StepUpRequest,
  response: { status: 200, schema: StepUpResponse },
  problems: ['invalid-credentials', ...withAccount, ...withShare, ...withStream, ...withPersonal],
  examples: { password: { request: { password: 'correct horse battery' } } },
  async handle(request, deps) {
    const proof = { ...request.body, ...clientOf(request) }
    const { authenticatedAt, ...tokens } = await deps.stepUp(requestOf(request), request.principal, proof)
    // A session of cookies stays one: no script gets to see its token.
    const answer = await answerOf(tokens, request.browser?.isByCookie ?? false, deps)
    return { ...answer, body: { ...answer.body, authenticatedAt } }
  },
})

const logout = defineRoute({
  operationId: 'logout',
  method: 'POST',
  path: '/api/v1/auth/logout',
  summary: 'End the session of the access token',
  tag: 'auth',
  permission: 'own',
  rateLimit: 'commands',
  response: { status: 204 },
  problems: [...withShare, ...withStream],
  async handle(request, { sessions, tokenCookies }) {
    await sessions.logout(requestOf(request), request.principal)
    return request.browser?.isByCookie && tokenCookies ? { headers: tokenCookies.cleared } : {}
  },
})

const validate = defineRoute({
  operationId: 'validate',
  method: 'GET',
  path: '/api/v1/auth/validate',
  summary: 'Say whether the access token is valid and its session has not ended',
  tag: 'auth',
  permission: 'own',
  rateLimit: 'queries',
  response: { status: 200, schema: ValidateResponse },
  problems: [],
  async handle({ principal: { userId, sessionId, roles, permissions, expiresAt } }) {
    const expiry = new Date(expiresAt * 1000).toISOString()
    const held = { roles: [...roles], permissions: [...permissions] }
    return { body: { active: true as const, userId, sessionId, ...held, expiresAt: expiry } }
  },
})

const jwks = defineRoute({
  operationId: 'jwks',
  method: 'GET',
  path: '/.well-known/jwks.json',
  summary: 'The public keys that check access tokens (RFC 7517)',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'none',
  response: { status: 200, schema: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) },
  problems: [],
  async handle(_request, { accessTokens }) {
    return { body: accessTokens.jwks, headers: { 'cache-control': 'public, max-age=300' } }
  },
})

const endSession = defineRoute({
  operationId: 'endSession',
  method: 'DELETE',
  path: '/api/v1/users/me/sessions/:sessionId',
  summary: 'End one of one’s own sessions',
  tag: 'sessions',
  permission: 'own',
  rateLimit: 'commands',
  params: z.strictObject({ sessionId: SessionId }),
  response: { status: 204 },
  problems: ['session-not-found', ...withShare, ...withStream],
  async handle(request, { sessions }) {
    await sessions.endOne(requestOf(request), request.principal, request.params.sessionId)
    return {}
  },
})

const endOtherSessions = defineRoute({
  operationId: 'endOtherSessions',
  method: 'DELETE',
  path: '/api/v1/users/me/sessions',
  summary: 'End all of one’s own sessions but the one at hand',
  tag: 'sessions',
  permission: 'own',
  rateLimit: 'commands',
  query: EndSessionsQuery,
  response: { status: 204 },
  problems: ['user-not-found', 'too-many-changes', 'concurrent-change', ...withShare, ...withStream],
  async handle(request, { sessions }) {
    await sessions.endOthers(requestOf(request), request.principal)
    return {}
  },
})

const endUserSessions = defineRoute({
  operationId: 'endUserSessions',
  method: 'DELETE',
  path: '/api/v1/users/:userId/sessions',
  summary: 'End all sessions of somebody',
  tag: 'sessions',
  permission: 'sessions.end',
  rateLimit: 'commands',
  params: z.strictObject({ userId: UserId }),
  response: { status: 204 },
  problems: ['user-not-found', 'concurrent-change', ...withShare, ...withStream],
  async handle(request, { sessions }) {
    await sessions.endAllOf(requestOf(request), request.principal, request.params.userId)
    return {}
  },
})

export const sessionRoutes = [
  login,
  verifyEmail,
  refresh,
  stepUp,
  logout,
  validate,
  jwks,
  endSession,
  endOtherSessions,
  endUserSessions,
]
