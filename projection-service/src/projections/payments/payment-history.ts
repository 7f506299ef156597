import { defineProjection } from '../../engine/definition/projection'

interface Line {
  payment_id: string
  type: string
  revision: bigint
  at: string
  data: unknown
}

interface PaymentFact {
  type: string
  revision: number
  at: string
  data: { paymentId: string }
}

const line = ({ type, revision, at, data: { paymentId } }: PaymentFact, data: unknown): Line => ({
  payment_id: paymentId,
  type,
  revision: BigInt(revision),
  at,
  data,
})

/** Every event of a payment, as its owner may read it: without personal data, and without what only the payment gateway is told. */
export const paymentHistory = defineProjection({
  name: 'payment_history',
  version: 1,
  table: 'payment_event',
  grain: 'event',
  keyColumn: 'event_id',
  topics: ['annals.payments'],
  columns: { payment_id: 'uuid', type: 'text', revision: 'bigint', at: 'timestamptz', data: 'jsonb' },
  indexes: { payment_event_by_payment: '(payment_id, revision)' },
  key: (event) => event.id,
  on: {
    'payment.created': (_, event) => line(event, { amount: event.data.amount, methodType: event.data.method.type }),
    'payment.process_started': (_, event) => line(event, { attempt: event.data.attempt }),
    'payment.processed': (_, event) =>
      line(event, {
        attempt: event.data.attempt,
        amount: event.data.amount,
        gatewayReference: event.data.gatewayReference,
      }),
    'payment.failed': (_, event) =>
      line(event, { attempt: event.data.attempt, amount: event.data.amount, code: event.data.code }),
    'payment.outcome_unknown': (_, event) => line(event, { attempt: event.data.attempt }),
  },
})
