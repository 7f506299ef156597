import { z } from 'zod'
import {
  FactorAsked,
  MfaRequest,
  PasskeyLoginRequest,
  PasskeyOptionsResponse,
  SessionResponse,
  type AnnalsApi,
} from '@annals/contracts'
import { routeDefiner } from '@annals/platform/api'
import { requestOf, withPersonal, withShare, withStream } from '../core/command-routes'
import type { createSecondFactor } from './commands/second-factor'
import { answerOf, clientOf, deliveryHeaders, wantsCookies, type TokenAnswerDeps } from './token-answer'

export interface SecondFactorRouteDeps extends TokenAnswerDeps {
  secondFactor: ReturnType<typeof createSecondFactor>
}

const defineRoute = routeDefiner<AnnalsApi, SecondFactorRouteDeps>()

const aFactor = '3f1c9f0e-6a55-5b1e-9d6a-0c7b6a3f2e11'
const challengeToken = '<challengeToken of the login>'
const ofLogin = ['challenge-failed', 'cross-site-refused', ...withShare, ...withStream, ...withPersonal] as const

const mfa = defineRoute({
  operationId: 'mfa',
  method: 'POST',
  path: '/api/v1/auth/mfa',
  summary: 'Show the second factor of a login; with `send`, ask for the code or the challenge that it needs',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'mfa',
  headers: deliveryHeaders,
  body: MfaRequest,
  response: { status: 200, schema: z.union([SessionResponse, FactorAsked]) },
  problems: ofLogin,
  examples: {
    app: { request: { challengeToken, factorId: aFactor, code: '123456' } },
    paper: { request: { challengeToken, factorId: aFactor, recoveryCode: '7r0k-9w2e-t4ms-x1va' } },
    message: { request: { challengeToken, factorId: aFactor, send: true } },
  },
  async handle(request, deps) {
    const isForCookies = wantsCookies(request)
    const { body, correlationId } = request
    const { challengeToken: token, factorId, ...shown } = body
    if ('send' in shown) {
      const asked = await deps.secondFactor.ask(requestOf({ correlationId }), { challengeToken: token, factorId })
      return { body: { sent: { factorId, ...asked } } }
    }
    const given = { challengeToken: token, factorId, shown, ...clientOf(request) }
    return answerOf(await deps.secondFactor.answer(requestOf({ correlationId }), given), isForCookies, deps)
  },
})

const beginPasskeyLogin = defineRoute({
  operationId: 'beginPasskeyLogin',
  method: 'POST',
  path: '/api/v1/auth/passkeys/options',
  summary: 'What an authenticator is asked to log somebody in (navigator.credentials.get)',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'authentication',
  response: { status: 200, schema: PasskeyOptionsResponse },
  problems: [...withShare],
  async handle(_request, { secondFactor }) {
    return { body: await secondFactor.beginPasskeyLogin() }
  },
})

const passkeyLogin = defineRoute({
  operationId: 'passkeyLogin',
  method: 'POST',
  path: '/api/v1/auth/passkeys',
  summary: 'Begin a session by a passkey, which is two factors by itself',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'authentication',
  headers: deliveryHeaders,
  body: PasskeyLoginRequest,
  response: { status: 200, schema: SessionResponse },
  problems: ofLogin,
  async handle(request, deps) {
    const isForCookies = wantsCookies(request)
    const { body, correlationId } = request
    const tokens = await deps.secondFactor.passkeyLogin(requestOf({ correlationId }), { ...body, ...clientOf(request) })
    return answerOf(tokens, isForCookies, deps)
  },
})

export const secondFactorRoutes = [mfa, beginPasskeyLogin, passkeyLogin]
