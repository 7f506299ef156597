import { z } from 'zod'
import { noCardNumber } from '../card-number'
import { PaymentFailureCode, PaymentMethod } from '../events/payments'
import { PaymentId, UserId } from '../ids'
import { Currency, DecimalAmount } from '../money'
import { descriptionForm, requestText } from '../text'
import { CalendarDate, DateTime } from '../time'
import { consistencyToken, Freshness, page, paging } from './common'

export const CreatePaymentRequest = z.strictObject({
  amount: DecimalAmount,
  currency: Currency,
  // An event may hold more than this release knows, a request may not.
  method: z.strictObject({
    type: PaymentMethod.shape.type,
    token: PaymentMethod.shape.token
      .check(noCardNumber)
      .describe('As the payment gateway issued it; the number of a card is refused'),
  }),
  description: requestText(descriptionForm)
    .check(noCardNumber)
    .describe('Free text; the number of a payment card in it is refused')
    .optional(),
})
export const PaymentStatus = z.enum(['pending', 'processing', 'completed', 'failed', 'unknown'])
export type PaymentStatus = z.infer<typeof PaymentStatus>

export const CreatePaymentResponse = z.object({ paymentId: PaymentId, status: z.literal('pending'), consistencyToken })
export const ProcessPaymentResponse = z.object({
  paymentId: PaymentId,
  status: PaymentStatus,
  /** Set when `status` is `failed`. */
  failureCode: PaymentFailureCode.optional(),
  consistencyToken,
})

export const PaymentView = z.object({
  paymentId: PaymentId,
  userId: UserId,
  amount: DecimalAmount,
  currency: Currency,
  status: PaymentStatus,
  methodType: z.string(),
  description: z.string().nullable(),
  failureCode: PaymentFailureCode.nullable(),
  gatewayReference: z.string().nullable(),
  attempts: z.int(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  revision: z.int(),
})

/** One line of a payment's history, as its owner may see it. */
export const PaymentEventView = z.object({
  id: z.string(),
  type: z.string(),
  revision: z.int(),
  at: z.iso.datetime(),
  data: z.record(z.string(), z.unknown()),
})

export const PaymentTotalsView = z.object({
  day: z.iso.date(),
  currency: Currency,
  createdCount: z.int(),
  createdAmount: z.string(),
  completedCount: z.int(),
  completedAmount: z.string(),
  failedCount: z.int(),
  failedAmount: z.string(),
})

export const ListPaymentsQuery = z.strictObject({
  ...paging,
  userId: UserId.optional(),
  status: PaymentStatus.optional(),
  currency: Currency.optional(),
  createdFrom: DateTime.optional(),
  createdBefore: DateTime.optional(),
})
export const PaymentStatsQuery = z.strictObject({
  from: CalendarDate.optional(),
  to: CalendarDate.optional(),
  currency: Currency.optional(),
})

export const PaymentResponse = PaymentView.extend({ freshness: Freshness })
export const PaymentPage = page(PaymentView)
export const PaymentEventsResponse = z.object({ items: z.array(PaymentEventView), freshness: Freshness })
export const PaymentStatsResponse = z.object({ items: z.array(PaymentTotalsView), freshness: Freshness })
