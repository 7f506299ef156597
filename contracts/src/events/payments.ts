import { z } from 'zod'
import { PaymentId, UserId } from '../ids'
import { Money } from '../money'
import { descriptionForm, recordedText, writtenText, type TextForm } from '../text'
import { defineEvent } from './definition'

/** A payment method by reference: the card data itself stays with the payment gateway. */
export const PaymentMethod = z.object({
  type: z.enum(['card']),
  token: z
    .string()
    .regex(/^tok_[A-Za-z0-9_]{1,64}$/, 'must be a token that the payment gateway issued, such as "tok_visa"'),
})
export type PaymentMethod = z.infer<typeof PaymentMethod>

/** Why a payment gateway refused; an unknown answer of a payment gateway maps to `gateway-refused`. */
export const PaymentFailureCode = z.enum(['card-declined', 'insufficient-funds', 'card-expired', 'gateway-refused'])
export type PaymentFailureCode = z.infer<typeof PaymentFailureCode>

const attempt = z.int().positive()
/** As it is written: read models count attempts in 32 bits. */
const writtenAttempt = attempt.max(2 ** 31 - 1)

/** A name that a payment gateway knows something by. */
const paymentGatewayForm: TextForm = { max: 128 }
/** A payment gateway's own name for a charge: anything else in its place proves nothing. */
export const PaymentGatewayReference = writtenText(paymentGatewayForm)

export const PaymentCreated = defineEvent({
  type: 'payment.created',
  version: 2,
  subject: 'userId',
  personal: ['description'],
  data: z.object({
    paymentId: PaymentId,
    userId: UserId,
    amount: Money,
    method: PaymentMethod,
    description: recordedText(descriptionForm).min(1).nullable(),
  }),
  written: { description: writtenText(descriptionForm).nullable() },
  upcast: {
    // v1 held a bare USD amount in cents, and no description.
    1: ({ amountCents, ...rest }) => ({ ...rest, amount: { minor: amountCents, currency: 'USD' }, description: null }),
  },
})

/** The payment gateway is about to be asked. Recorded before the call, so that a lost answer leaves a trace. */
export const PaymentProcessStarted = defineEvent({
  type: 'payment.process_started',
  version: 1,
  data: z.object({ paymentId: PaymentId, userId: UserId, attempt, gatewayKey: z.string().min(1).max(128) }),
  written: { attempt: writtenAttempt },
})

export const PaymentProcessed = defineEvent({
  type: 'payment.processed',
  version: 1,
  data: z.object({
    paymentId: PaymentId,
    userId: UserId,
    attempt,
    amount: Money,
    /** The payment gateway's own name for the charge. */
    gatewayReference: z.string().min(1).max(128),
  }),
  written: { attempt: writtenAttempt, gatewayReference: PaymentGatewayReference },
})

export const PaymentFailed = defineEvent({
  type: 'payment.failed',
  version: 1,
  data: z.object({ paymentId: PaymentId, userId: UserId, attempt, amount: Money, code: PaymentFailureCode }),
  written: { attempt: writtenAttempt },
})

/** The payment gateway gave no answer that proves anything; only its own word on the same key ends this state. */
export const PaymentOutcomeUnknown = defineEvent({
  type: 'payment.outcome_unknown',
  version: 1,
  data: z.object({ paymentId: PaymentId, userId: UserId, attempt, gatewayKey: z.string().min(1).max(128) }),
  written: { attempt: writtenAttempt },
})
