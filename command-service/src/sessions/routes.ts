import { z } from 'zod'
import {
  keptLine,
  LoginRequest,
  RefreshRequest,
  streamOf,
  TokenResponse,
  userAgentForm,
  ValidateResponse,
  type AnnalsApi,
} from '@annals/contracts'
import { routeDefiner } from '@annals/platform/api'
import { requestOf, withPersonal, withShare, withStream } from '../core/command-routes'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { AccessTokens } from './access-tokens'
import type { createLogin, Tokens } from './commands/login'
import type { createSessionCommands } from './commands/sessions'

export interface SessionRouteDeps {
  login: ReturnType<typeof createLogin>
  sessions: ReturnType<typeof createSessionCommands>
  accessTokens: Pick<AccessTokens, 'jwks'>
  consistencyTokens: ConsistencyTokens
}

const defineRoute = routeDefiner<AnnalsApi, SessionRouteDeps>()

const tokenBody = async ({ revision, position, ...tokens }: Tokens, consistencyTokens: ConsistencyTokens) => ({
  ...tokens,
  tokenType: 'Bearer' as const,
  consistencyToken: await consistencyTokens.of({ stream: streamOf.session(tokens.sessionId), revision, position }),
})

const login = defineRoute({
  operationId: 'login',
  method: 'POST',
  path: '/api/v1/auth/login',
  summary: 'Begin a session: an access token, and a refresh token for the next one',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'authentication',
  body: LoginRequest,
  response: { status: 200, schema: TokenResponse },
  problems: ['invalid-credentials', ...withShare, ...withStream, ...withPersonal],
  examples: { login: { request: { email: 'ada@example.org', password: 'correct horse battery' } } },
  async handle(request, deps) {
    const { body, ip } = request
    // Kept with the login, for its owner to recognise: mended rather than refused.
    const userAgent = keptLine(request.userAgent ?? '', userAgentForm)
    const tokens = await deps.login(requestOf(request), { ...body, ip, userAgent })
    return { body: await tokenBody(tokens, deps.consistencyTokens) }
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
  body: RefreshRequest,
  response: { status: 200, schema: TokenResponse },
  problems: ['invalid-refresh-token', 'session-ended', ...withShare, ...withStream],
  async handle(request, { sessions, consistencyTokens }) {
    const tokens = await sessions.refresh(requestOf(request), request.body.refreshToken)
    return { body: await tokenBody(tokens, consistencyTokens) }
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
  async handle(request, { sessions }) {
    await sessions.logout(requestOf(request), request.principal)
    return {}
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
  async handle({ principal: { userId, sessionId, roles, expiresAt } }) {
    const expiry = new Date(expiresAt * 1000).toISOString()
    return { body: { active: true as const, userId, sessionId, roles: [...roles], expiresAt: expiry } }
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

export const sessionRoutes = [login, refresh, logout, validate, jwks]
