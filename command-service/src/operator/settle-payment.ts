import { streamOf, type PaymentId, type PaymentStatus } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { paymentDecider, settle, type PaymentGatewayProof } from '../payments/domain/payment'
import { Rejected } from '../core/rejected'
import type { Execute } from '../core/execute'

export interface SettlePayment {
  paymentId: PaymentId
  /** What the payment gateway's own records say of the attempt. */
  proof: Exclude<PaymentGatewayProof, { outcome: 'unknown' }>
  /** Who has looked it up: kept in the log. */
  operator: string
  at: string
}

/**
 * Ends an attempt of which the payment gateway gives no proof by itself any more.
 * @returns what the payment is now, and whether that is new.
 * @throws Rejected `payment-not-found`; `payment-not-processable` when it was never begun.
 */
export async function settlePayment(
  execute: Execute,
  { paymentId, proof, operator, at }: SettlePayment,
): Promise<{ status: PaymentStatus; settled: boolean }> {
  const commandId = newId()
  const { state, appended } = await execute(paymentDecider, {
    stream: streamOf.payment(paymentId),
    context: {
      commandId,
      correlationId: commandId,
      causationId: commandId,
      actor: { type: 'operator', id: operator },
      occurredAt: at,
    },
    decide: settle(proof),
  })
  if (state.status === 'none') throw new Rejected('payment-not-found')
  return { status: state.status, settled: appended }
}
