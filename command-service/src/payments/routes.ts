import { z } from 'zod'
import {
  CreatePaymentRequest,
  CreatePaymentResponse,
  formatMoney,
  parseMoney,
  PaymentId,
  paymentMinorMax,
  ProcessPaymentResponse,
  type AmountFault,
  type AnnalsApi,
  type CurrencyCode,
} from '@annals/contracts'
import { HttpProblem, routeDefiner } from '@annals/platform/api'
import {
  etagOf,
  optionalIdempotencyKey,
  requestOf,
  requiredIdempotencyKey,
  withKey,
  withPersonal,
  withShare,
  withStream,
} from '../core/command-routes'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { createPaymentCommands } from './commands/payments'

export interface PaymentRouteDeps {
  payments: ReturnType<typeof createPaymentCommands>
  consistencyTokens: ConsistencyTokens
}

const defineRoute = routeDefiner<AnnalsApi, PaymentRouteDeps>()

const ifMatch = z
  .string()
  .regex(/^"\d{1,15}"$/, 'must be one ETag such as "3"')
  .optional()
  .describe('Revision that was seen; refused when it is another one by now')

/** A payment of nothing is refused where the client can see which field is wrong. */
const PaymentBody = CreatePaymentRequest.refine(({ amount }) => /[1-9]/.test(amount), {
  path: ['amount'],
  message: 'must be more than zero',
})

function amountProblem(fault: AmountFault, currency: CurrencyCode): HttpProblem {
  if (fault === 'too-large') {
    const most = formatMoney({ minor: paymentMinorMax, currency })
    return new HttpProblem('amount-too-large', { detail: `A payment in ${currency} is at most ${most}.` })
  }
  return new HttpProblem('amount-not-representable', { detail: `${currency} has fewer decimal places.` })
}

const createPayment = defineRoute({
  operationId: 'createPayment',
  method: 'POST',
  path: '/api/v1/payments',
  aliases: [{ method: 'POST', path: '/api/v1/payments/create' }],
  summary: 'Create a payment; nothing is charged yet',
  tag: 'payments',
  permission: 'own',
  rateLimit: 'commands',
  headers: z.object({ 'idempotency-key': requiredIdempotencyKey }),
  body: PaymentBody,
  response: { status: 201, schema: CreatePaymentResponse },
  problems: [
    'idempotency-key-required',
    'amount-not-representable',
    'amount-too-large',
    'card-number-refused',
    'user-not-found',
    ...withShare,
    ...withStream,
    ...withPersonal,
    ...withKey,
  ],
  examples: {
    card: { request: { amount: '12.50', currency: 'EUR', method: { type: 'card', token: 'tok_visa' } } },
  },
  async handle(request, { payments, consistencyTokens }) {
    const { body, principal } = request
    const amount = parseMoney(body.amount, body.currency)
    if (typeof amount === 'string') throw amountProblem(amount, body.currency)
    const { method, description = null } = body
    const payment = await payments.create(requestOf(request), principal, { amount, method, description })
    return {
      body: {
        paymentId: payment.paymentId,
        status: 'pending' as const,
        consistencyToken: await consistencyTokens.of(payment),
      },
      headers: { location: `/api/v1/payments/${payment.paymentId}`, etag: etagOf(payment.revision) },
    }
  },
})

const processPayment = defineRoute({
  operationId: 'processPayment',
  method: 'POST',
  path: '/api/v1/payments/:paymentId/process',
  summary:
    'Charge a payment once; while the status is "unknown", ask again: the payment gateway is asked after the same charge',
  tag: 'payments',
  permission: 'own-or-payments.process',
  rateLimit: 'commands',
  params: z.strictObject({ paymentId: PaymentId }),
  headers: z.object({ 'idempotency-key': optionalIdempotencyKey, 'if-match': ifMatch }),
  response: { status: 200, schema: ProcessPaymentResponse },
  problems: [
    'payment-not-found',
    'payment-not-processable',
    ...withShare,
    ...withStream,
    'revision-mismatch',
    'concurrent-change',
    ...withKey,
  ],
  async handle(request, { payments, consistencyTokens }) {
    const { params, headers, principal } = request
    const seen = headers['if-match'] === undefined ? undefined : Number(headers['if-match'].slice(1, -1))
    const payment = await payments.process(requestOf(request), principal, params.paymentId, seen)
    const { paymentId, status, failureCode } = payment
    const failure = failureCode ? { failureCode } : {}
    return {
      body: { paymentId, status, ...failure, consistencyToken: await consistencyTokens.of(payment) },
      headers: { etag: etagOf(payment.revision) },
    }
  },
})

export const paymentRoutes = [createPayment, processPayment]
