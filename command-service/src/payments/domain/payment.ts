import {
  holdsCardNumber,
  paymentMinorMax,
  type Money,
  type NewEvent,
  type PaymentFailureCode,
  type PaymentId,
  type PaymentMethod,
  type UserId,
} from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type PaymentEventType =
  'payment.created' | 'payment.process_started' | 'payment.processed' | 'payment.failed' | 'payment.outcome_unknown'

interface Order {
  paymentId: PaymentId
  owner: UserId
  amount: Money
  method: PaymentMethod
}
interface Asked extends Order {
  /** From 1: how often the payment gateway was given a charge of its own. */
  attempt: number
  /** The key under which the payment gateway knows this attempt. */
  gatewayKey: string
  /** ISO 8601: when the attempt began. Before it the payment gateway had not heard of the key. */
  begunAt: string
}

export type Payment =
  | { status: 'none' }
  | ({ status: 'pending' } & Order)
  | ({ status: 'processing' } & Asked)
  | ({ status: 'unknown' } & Asked)
  | ({ status: 'completed'; gatewayReference: string } & Order)
  | ({ status: 'failed'; code: PaymentFailureCode } & Order)

const initial: Payment = { status: 'none' }

const orderOf = ({ paymentId, owner, amount, method }: Order): Order => ({ paymentId, owner, amount, method })

const askedOf = ({ data }: { data: Pick<Asked, 'attempt' | 'gatewayKey'> }) => ({
  attempt: data.attempt,
  gatewayKey: data.gatewayKey,
})

function evolve(payment: Payment, event: Past<PaymentEventType>): Payment {
  if (event.type === 'payment.created') {
    const { paymentId, userId, amount, method } = event.data
    return { status: 'pending', paymentId, owner: userId, amount, method }
  }
  if (payment.status === 'none') return payment
  const order = orderOf(payment)
  switch (event.type) {
    case 'payment.process_started':
      return { status: 'processing', ...order, ...askedOf(event), begunAt: event.at }
    case 'payment.outcome_unknown':
      return {
        status: 'unknown',
        ...order,
        ...askedOf(event),
        begunAt: 'begunAt' in payment ? payment.begunAt : event.at,
      }
    case 'payment.processed':
      return { status: 'completed', ...order, gatewayReference: event.data.gatewayReference }
    case 'payment.failed':
      return { status: 'failed', ...order, code: event.data.code }
  }
}

export const paymentDecider: Decider<Payment, PaymentEventType> = { category: 'payment', initial, evolve }

export interface CreatePayment {
  paymentId: PaymentId
  userId: UserId
  amount: Money
  method: PaymentMethod
  description: string | null
}

/**
 * An amount has a maximum, so that no one payment is worth a mistyped fortune. The number of a card belongs to the payment gateway: the
 * log keeps what it has for ever. Payments that were made before these rules go on.
 */
export const createPayment =
  (input: CreatePayment) =>
  (payment: Payment): NewEvent<'payment.created'>[] => {
    if (payment.status !== 'none') return []
    if (input.amount.minor > paymentMinorMax) throw new Rejected('amount-too-large')
    if ([input.method.token, input.description ?? ''].some(holdsCardNumber)) throw new Rejected('card-number-refused')
    return [{ type: 'payment.created', data: input }]
  }

export interface StartProcessing {
  /** Who asks: a payment that is not theirs does not exist for them, unless they may process those of everybody. */
  by: { userId: UserId; mayProcessAll: boolean }
  /** Names the payment gateway's charge for an attempt, the same name every time. */
  gatewayKeyOf: (attempt: number) => string
}

/**
 * Recorded before the payment gateway is asked. While an attempt has no proven outcome there is no other attempt: the payment gateway is
 * asked again under the same key. A refusal is final.
 */
export const startProcessing =
  ({ by, gatewayKeyOf }: StartProcessing) =>
  (payment: Payment): NewEvent<'payment.process_started'>[] => {
    if (payment.status === 'none') throw new Rejected('payment-not-found')
    if (payment.owner !== by.userId && !by.mayProcessAll) throw new Rejected('payment-not-found')
    switch (payment.status) {
      case 'pending': {
        const { paymentId, owner: userId } = payment
        return [
          { type: 'payment.process_started', data: { paymentId, userId, attempt: 1, gatewayKey: gatewayKeyOf(1) } },
        ]
      }
      case 'processing':
      case 'unknown':
      case 'completed':
        return []
      case 'failed':
        throw new Rejected('payment-not-processable')
    }
  }

/**
 * Whether a charge may be asked for under the key of an attempt of which the payment gateway says that it knows nothing. A payment gateway forgets
 * keys: within their life `absent` proves that nothing was charged, and charging again is safe. Afterwards it proves nothing; the
 * attempt stays unknown, and only proof from elsewhere ends it.
 * @param at ISO 8601: now.
 * @param keyHours how long the payment gateway remembers a key for certain; less than it promises, since clocks differ.
 */
export const mayCharge = (
  { begunAt }: Pick<Asked, 'begunAt'>,
  { at, keyHours }: { at: string; keyHours: number },
): boolean => Date.parse(at) - Date.parse(begunAt) < keyHours * 3_600_000

/** What the payment gateway has proved about an attempt, or that it proved nothing. */
export type PaymentGatewayProof =
  { outcome: 'charged'; reference: string } | { outcome: 'refused'; code: PaymentFailureCode } | { outcome: 'unknown' }

/** Proof ends an attempt; without it the attempt is unknown, and stays so until there is proof. */
export const settle =
  (proof: PaymentGatewayProof) =>
  (payment: Payment): NewEvent<'payment.processed' | 'payment.failed' | 'payment.outcome_unknown'>[] => {
    switch (payment.status) {
      case 'none':
        throw new Rejected('payment-not-found')
      case 'pending':
        throw new Rejected('payment-not-processable')
      case 'processing':
      case 'unknown': {
        const { paymentId, owner: userId, attempt, amount, gatewayKey } = payment
        switch (proof.outcome) {
          case 'charged':
            return [
              {
                type: 'payment.processed',
                data: { paymentId, userId, attempt, amount, gatewayReference: proof.reference },
              },
            ]
          case 'refused':
            return [{ type: 'payment.failed', data: { paymentId, userId, attempt, amount, code: proof.code } }]
          case 'unknown':
            return payment.status === 'unknown'
              ? []
              : [{ type: 'payment.outcome_unknown', data: { paymentId, userId, attempt, gatewayKey } }]
        }
      }
      // Proof of the same attempt came twice: the payment gateway says one thing for ever under one key.
      case 'completed':
      case 'failed':
        return []
    }
  }
