import {
  has,
  streamOf,
  type Money,
  type PaymentFailureCode,
  type PaymentId,
  type PaymentMethod,
  type PaymentStatus,
  type Principal,
} from '@annals/contracts'
import { derivedId } from '@annals/platform/ids'
import {
  createPayment,
  mayCharge,
  paymentDecider,
  settle,
  startProcessing,
  type PaymentGatewayProof,
  type Payment,
} from '../domain/payment'
import { Rejected } from '../../core/rejected'
import { commandIdOf, stepOf, type CommandContext, type Fingerprint, type Request } from '../../core/command-context'
import { unborn, type Execute, type Known } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import type { PaymentGateway } from '../payment-gateway/port'

export interface PaymentDeps {
  execute: Execute
  paymentGateway: PaymentGateway
  fingerprint: Fingerprint
  inFlight: InFlight
  tenant: string
  now: () => string
  /** How long the payment gateway remembers a key for certain. */
  paymentGatewayKeyHours: number
  /** A payment gateway's answer came, or did not; `forgotten`: it knows nothing of a key that it may have forgotten. */
  onPaymentGatewayAnswer: (outcome: PaymentGatewayProof['outcome'] | 'forgotten') => void
}

export interface NewPayment {
  amount: Money
  method: PaymentMethod
  description: string | null
}

export interface PaymentFact {
  paymentId: PaymentId
  status: PaymentStatus
  failureCode?: PaymentFailureCode
  stream: string
  revision: number
  position: bigint
}

const createRoute = 'POST /api/v1/payments'
/** With the payment in it: a key is a key for one payment. */
const processRoute = (paymentId: PaymentId) => `POST /api/v1/payments/${paymentId}/process`

export function createPaymentCommands(deps: PaymentDeps) {
  const {
    execute,
    paymentGateway,
    paymentGatewayKeyHours,
    fingerprint,
    inFlight,
    tenant,
    now,
    onPaymentGatewayAnswer,
  } = deps

  function contextOf(request: Request, principal: Principal, route: string, asked: unknown): CommandContext {
    const { idempotencyKey, correlationId } = request
    const commandId = commandIdOf({ tenant, principal: principal.userId, route, idempotencyKey })
    return {
      commandId,
      ...(idempotencyKey === undefined ? {} : { fingerprint: fingerprint({ route, asked }) }),
      correlationId,
      causationId: commandId,
      actor: { type: 'user', id: principal.userId },
      occurredAt: now(),
    }
  }

  function factOf(paymentId: PaymentId, { state, revision, position }: Known<Payment>): PaymentFact {
    if (state.status === 'none') throw new Rejected('payment-not-found')
    return {
      paymentId,
      status: state.status,
      ...(state.status === 'failed' ? { failureCode: state.code } : {}),
      stream: streamOf.payment(paymentId),
      revision,
      position,
    }
  }

  /**
   * What the payment gateway proves about the attempt in force. An attempt that another call began is asked after before it is
   * charged; charging is safe even then, as long as the payment gateway can not have forgotten the key.
   */
  async function proofOf(
    payment: Extract<Payment, { gatewayKey: string }>,
    begunNow: boolean,
  ): Promise<PaymentGatewayProof> {
    const { gatewayKey: key, amount, method } = payment
    const found = begunNow ? ({ outcome: 'absent' } as const) : await paymentGateway.find(key)
    if (found.outcome === 'absent' && !mayCharge(payment, { at: now(), keyHours: paymentGatewayKeyHours })) {
      onPaymentGatewayAnswer('forgotten')
      return { outcome: 'unknown' }
    }
    const answer = found.outcome === 'absent' ? await paymentGateway.charge({ key, amount, method }) : found
    onPaymentGatewayAnswer(answer.outcome)
    return answer.outcome === 'unknown' ? { outcome: 'unknown' } : answer
  }

  async function runProcess(paymentId: PaymentId, by: Principal, context: CommandContext, ifMatch: number | undefined) {
    const stream = streamOf.payment(paymentId)
    const started = await execute(paymentDecider, {
      stream,
      context,
      decide: startProcessing({
        by: { userId: by.userId, mayProcessAll: has(by, 'payments.process') },
        gatewayKeyOf: (attempt) => derivedId('charge', tenant, paymentId, attempt),
      }),
      ifMatch,
    })
    const { state } = started.latest
    if (state.status !== 'processing' && state.status !== 'unknown') return factOf(paymentId, started.latest)

    const proof = await proofOf(state, started.appended)
    const settled = await execute(paymentDecider, {
      stream,
      // The payment gateway's word is a fact of its own, which the command caused; it happened when it was heard.
      context: {
        ...stepOf(context, 'settle', state.attempt, proof.outcome),
        actor: { type: 'system', id: 'payment-gateway' },
        occurredAt: now(),
      },
      decide: settle(proof),
      known: started.latest,
    })
    return factOf(paymentId, settled.latest)
  }

  return {
    /** @throws IdempotencyKeyReused; CommandInProgress. */
    create(request: Request, by: Principal, input: NewPayment): Promise<PaymentFact> {
      const context = contextOf(request, by, createRoute, input)
      const paymentId = derivedId('payment', context.commandId)
      const admission = { commandId: context.commandId, purpose: 'payments', principal: by.userId } as const
      return inFlight.run(admission, async () => {
        const created = await execute(paymentDecider, {
          stream: streamOf.payment(paymentId),
          context,
          decide: createPayment({ paymentId, userId: by.userId, ...input }),
          // Nobody but a repeat of this command can have written there.
          known: unborn(paymentDecider),
        })
        return factOf(paymentId, created)
      })
    },

    /**
     * Charges a payment once, whatever happens on the way: call it again until the status is `completed` or `failed`.
     * @param ifMatch revision that the client saw.
     * @throws Rejected `payment-not-found`, `payment-not-processable`; RevisionMismatch; IdempotencyKeyReused.
     */
    process(request: Request, by: Principal, paymentId: PaymentId, ifMatch?: number): Promise<PaymentFact> {
      const context = contextOf(request, by, processRoute(paymentId), { paymentId })
      const admission = { commandId: context.commandId, purpose: 'payment-gateway', principal: by.userId } as const
      return inFlight.run(admission, () => runProcess(paymentId, by, context, ifMatch))
    },
  }
}
