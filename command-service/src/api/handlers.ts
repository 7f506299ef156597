import type { z } from 'zod'
import {
  formatMoney,
  parseMoney,
  paymentMinorMax,
  streamOf,
  type AmountFault,
  type CurrencyCode,
  type Principal,
} from '@annals/contracts'
import { HttpProblem } from '@annals/platform/api'
import type { createLogin, Tokens } from '../sessions/commands/login'
import type { createPaymentCommands } from '../payments/commands/payments'
import type { createRegistration } from '../accounts/commands/registration'
import type { createSessionCommands } from '../sessions/commands/sessions'
import type { Request } from '../core/command-context'
import type { AccessTokens } from '../sessions/access-tokens'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { CommandRoutes } from './routes'

/** What the API can be asked to do. */
export interface Commands {
  register: ReturnType<typeof createRegistration>
  login: ReturnType<typeof createLogin>
  sessions: ReturnType<typeof createSessionCommands>
  payments: ReturnType<typeof createPaymentCommands>
}

type Content<Route, Part extends string> = Route extends { [K in Part]: infer Schema extends z.ZodType }
  ? z.output<Schema>
  : undefined

/** A validated request. */
export interface Incoming<Route> extends Request {
  body: Content<Route, 'body'>
  params: Content<Route, 'params'>
  headers: Content<Route, 'headers'>
  principal: Route extends { auth: 'none' } ? undefined : Principal
  ip: string
  userAgent: string | null
}

export interface Answer<Route> {
  body: Route extends { response: { schema: infer Schema extends z.ZodType } } ? z.input<Schema> : undefined
  headers?: Record<string, string>
}

export type Handlers = {
  [Name in keyof CommandRoutes]: (incoming: Incoming<CommandRoutes[Name]>) => Promise<Answer<CommandRoutes[Name]>>
}

/** Tokens are for one client: no cache keeps them. */
const noStore = { 'cache-control': 'no-store' }
const etag = (revision: number) => `"${revision}"`

function amountProblem(fault: AmountFault, currency: CurrencyCode): HttpProblem {
  if (fault === 'too-large') {
    const most = formatMoney({ minor: paymentMinorMax, currency })
    return new HttpProblem('amount-too-large', { detail: `A payment in ${currency} is at most ${most}.` })
  }
  return new HttpProblem('amount-not-representable', { detail: `${currency} has fewer decimal places.` })
}

/** Each translates: a request into a command, its outcome into an answer. */
export function createHandlers(
  commands: Commands,
  accessTokens: AccessTokens,
  consistencyTokens: ConsistencyTokens,
): Handlers {
  const { register, login, sessions, payments } = commands

  const tokenBody = async ({ revision, position, ...tokens }: Tokens) => ({
    ...tokens,
    tokenType: 'Bearer' as const,
    consistencyToken: await consistencyTokens.of({ stream: streamOf.session(tokens.sessionId), revision, position }),
  })

  return {
    async register({ body, ...request }) {
      const registered = await register(request, body)
      return {
        body: { userId: registered.userId, consistencyToken: await consistencyTokens.of(registered) },
        headers: { location: `/api/v1/users/${registered.userId}`, etag: etag(registered.revision) },
      }
    },

    async login({ body, ip, userAgent, ...request }) {
      return { body: await tokenBody(await login(request, { ...body, ip, userAgent })), headers: noStore }
    },

    async refresh({ body, ...request }) {
      return { body: await tokenBody(await sessions.refresh(request, body.refreshToken)), headers: noStore }
    },

    async logout({ principal, ...request }) {
      await sessions.logout(request, principal)
      return { body: undefined }
    },

    async validate({ principal: { userId, sessionId, roles, expiresAt } }) {
      const expiry = new Date(expiresAt * 1000).toISOString()
      return { body: { active: true, userId, sessionId, roles: [...roles], expiresAt: expiry }, headers: noStore }
    },

    async jwks() {
      return { body: accessTokens.jwks, headers: { 'cache-control': 'public, max-age=300' } }
    },

    async createPayment({ body, principal, ...request }) {
      const amount = parseMoney(body.amount, body.currency)
      if (typeof amount === 'string') throw amountProblem(amount, body.currency)
      const { method, description = null } = body
      const payment = await payments.create(request, principal, { amount, method, description })
      return {
        body: {
          paymentId: payment.paymentId,
          status: 'pending',
          consistencyToken: await consistencyTokens.of(payment),
        },
        headers: { location: `/api/v1/payments/${payment.paymentId}`, etag: etag(payment.revision) },
      }
    },

    async processPayment({ params, headers, principal, ...request }) {
      const ifMatch = headers['if-match'] === undefined ? undefined : Number(headers['if-match'].slice(1, -1))
      const payment = await payments.process(request, principal, params.paymentId, ifMatch)
      const { paymentId, status, failureCode } = payment
      const failure = failureCode ? { failureCode } : {}
      return {
        body: { paymentId, status, ...failure, consistencyToken: await consistencyTokens.of(payment) },
        headers: { etag: etag(payment.revision) },
      }
    },
  }
}
