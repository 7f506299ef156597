import { z } from 'zod'
import {
  formatMoney,
  has,
  ListPaymentsQuery,
  PaymentEventsResponse,
  PaymentId,
  PaymentPage,
  PaymentResponse,
  streamOf,
  type CurrencyCode,
  type PaymentView,
  type Principal,
} from '@annals/contracts'
import { HttpProblem } from '@annals/platform/api'
import type { Projection } from '../../engine/definition/projection'
import { paymentHistory, payments } from '../../projections'
import { decodeCursor, encodeCursor, pageOf } from '../cursor'
import { freshRead } from '../fresh-read'
import { parkedProblem } from '../parked'
import type { ReadModels } from '../read-models'
import { defineQuery } from '../route'

type View = z.infer<typeof PaymentView>

interface PaymentRow {
  payment_id: string
  user_id: string
  status: View['status']
  amount_minor: bigint
  currency: CurrencyCode
  method_type: string
  description: string | null
  failure_code: View['failureCode']
  gateway_reference: string | null
  attempts: number
  created_at: string
  updated_at: string
  revision: bigint
}

const tableOf = ({ tables }: ReadModels) => tables(payments).rows

const paymentView = (row: PaymentRow): View => ({
  paymentId: row.payment_id,
  userId: row.user_id,
  amount: formatMoney({ minor: row.amount_minor, currency: row.currency }),
  currency: row.currency,
  status: row.status,
  methodType: row.method_type,
  description: row.description,
  failureCode: row.failure_code,
  gatewayReference: row.gateway_reference,
  attempts: row.attempts,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  revision: Number(row.revision),
})

/** Whose payments may be seen: one's own, or (null) everybody's. */
const visibleTo = (principal: Principal): string | null => (has(principal, 'payments.read') ? null : principal.userId)

/** Why a payment is not shown: it waits behind an event that could not be applied, or there is none that this person may see. */
const missing = async (models: ReadModels, readModel: Projection, paymentId: string, principal: Principal) =>
  (await parkedProblem(models, readModel, streamOf.payment(paymentId), {
    visibleTo: visibleTo(principal) ?? undefined,
  })) ?? new HttpProblem('payment-not-found')

const getPayment = defineQuery({
  operationId: 'getPayment',
  path: '/api/v1/payments/:paymentId',
  summary: 'A payment: one’s own, or any for an administrator',
  permission: 'own-or-payments.read',
  tag: 'payments',
  params: z.object({ paymentId: PaymentId }),
  response: PaymentResponse,
  problems: ['payment-not-found'],
  reads: [payments],
  async answer({ principal, params: { paymentId } }, { models }) {
    const { rows, freshness } = await freshRead<PaymentRow>(models, {
      projection: payments,
      stream: streamOf.payment(paymentId),
      sql: `select * from ${tableOf(models)} where payment_id = $1 and ($2::uuid is null or user_id = $2)`,
      parameters: [paymentId, visibleTo(principal)],
    })
    if (!rows[0]) throw await missing(models, payments, paymentId, principal)
    return { ...paymentView(rows[0]), freshness }
  },
})

const listPayments = defineQuery({
  operationId: 'listPayments',
  path: '/api/v1/payments',
  summary: 'Payments, newest first: one’s own, or all for an administrator',
  permission: 'own-or-payments.read',
  tag: 'payments',
  query: ListPaymentsQuery,
  response: PaymentPage,
  problems: ['invalid-cursor'],
  reads: [payments],
  async answer({ principal, query: { limit, cursor, ...given } }, { models }) {
    // Only what narrows the list stands in the statement, so that the planner meets plain conditions.
    const parameters: unknown[] = []
    const conditions: string[] = []
    const only = (condition: (place: string) => string, value: unknown) => {
      if (value === undefined || value === null) return
      parameters.push(value)
      conditions.push(condition(`$${parameters.length}`))
    }
    const filters = { ...given, visibleTo: visibleTo(principal) }
    const after = decodeCursor('payments', filters, cursor)
    only((place) => `user_id = ${place}::uuid`, filters.visibleTo)
    only((place) => `user_id = ${place}::uuid`, given.userId)
    only((place) => `status = ${place}`, given.status)
    only((place) => `currency = ${place}`, given.currency)
    only((place) => `created_at >= ${place}::timestamptz`, given.createdFrom)
    only((place) => `created_at < ${place}::timestamptz`, given.createdBefore)
    if (after) {
      parameters.push(after.at, after.id)
      const last = parameters.length
      conditions.push(`(created_at, payment_id) < ($${last - 1}::timestamptz, $${last}::uuid)`)
    }
    const { rows, freshness } = await freshRead<PaymentRow>(models, {
      projection: payments,
      sql: `select * from ${tableOf(models)} ${conditions.length ? `where ${conditions.join(' and ')}` : ''}
        order by created_at desc, payment_id desc limit ${limit + 1}`,
      parameters,
      orderBy: 'created_at desc, payment_id desc',
    })
    const cursorOf = (row: PaymentRow) => encodeCursor('payments', filters, { at: row.created_at, id: row.payment_id })
    return { ...pageOf(rows, limit, paymentView, cursorOf), freshness }
  },
})

interface PaymentEventRow {
  event_id: string
  type: string
  revision: bigint
  at: string
  data: Record<string, unknown>
}

const listPaymentEvents = defineQuery({
  operationId: 'listPaymentEvents',
  path: '/api/v1/payments/:paymentId/events',
  summary: 'The history of a payment, oldest first',
  permission: 'own-or-payments.read',
  tag: 'payments',
  params: z.object({ paymentId: PaymentId }),
  response: PaymentEventsResponse,
  problems: ['payment-not-found'],
  reads: [paymentHistory, payments],
  async answer({ principal, params: { paymentId } }, { models }) {
    const { rows, freshness } = await freshRead<PaymentEventRow>(models, {
      projection: paymentHistory,
      stream: streamOf.payment(paymentId),
      sql: `select event_id, type, revision, at, data from ${models.tables(paymentHistory).rows}
        where payment_id = $1
        and exists (select from ${tableOf(models)} p where p.payment_id = $1 and ($2::uuid is null or p.user_id = $2))`,
      parameters: [paymentId, visibleTo(principal)],
      orderBy: 'revision',
      // A payment has a handful of events; a stream beyond this is no payment's.
      limit: 1_000,
    })
    if (rows.length === 0) {
      const problem = await missing(models, paymentHistory, paymentId, principal)
      throw problem.code === 'payment-not-found' ? await missing(models, payments, paymentId, principal) : problem
    }
    const items = rows.map((row) => ({
      id: row.event_id,
      type: row.type,
      revision: Number(row.revision),
      at: row.at,
      data: row.data,
    }))
    return { items, freshness }
  },
})

export const paymentRoutes = [listPayments, getPayment, listPaymentEvents]
