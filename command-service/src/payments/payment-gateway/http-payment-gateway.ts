import { z } from 'zod'
import { PaymentGatewayReference, type PaymentFailureCode } from '@annals/contracts'
import type { PaymentGateway, PaymentGatewayAnswer } from './port'

export interface HttpPaymentGatewayOptions {
  baseUrl: string
  /** How long an answer is waited for; afterwards it is unknown. */
  timeoutMs: number
  /** Sent as `Authorization: Bearer`. */
  token: string | undefined
}

const Charge = z.discriminatedUnion('status', [
  z.object({ status: z.literal('succeeded'), id: PaymentGatewayReference }),
  z.object({ status: z.literal('declined'), reason: z.string().max(200) }),
])

const failureCodes: Record<string, PaymentFailureCode> = {
  card_declined: 'card-declined',
  insufficient_funds: 'insufficient-funds',
  expired_card: 'card-expired',
}

/** Speaks to a payment gateway over HTTP: `POST /v1/charges` with an `Idempotency-Key`, `GET /v1/charges/<key>`. */
export function createHttpPaymentGateway({ baseUrl, timeoutMs, token }: HttpPaymentGatewayOptions): PaymentGateway {
  const at = (path: string) => new URL(path, baseUrl)
  const credentials: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }

  /** Only a well-formed answer proves anything: no answer, a 5xx or nonsense is unknown. */
  async function ask(
    url: URL,
    init: { method: string; headers?: Record<string, string>; body?: string },
  ): Promise<PaymentGatewayAnswer | { outcome: 'absent' }> {
    try {
      const headers = { ...init.headers, ...credentials }
      // A redirect would take the credentials elsewhere.
      const response = await fetch(url, { ...init, headers, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
      const body: unknown = await response.json()
      if (response.status === 404) return { outcome: 'absent' }
      if (response.status !== 200 && response.status !== 402)
        throw new Error(`the payment gateway answered ${response.status}`)
      const charge = Charge.parse(body)
      return charge.status === 'succeeded'
        ? { outcome: 'charged', reference: charge.id }
        : { outcome: 'refused', code: failureCodes[charge.reason] ?? 'gateway-refused' }
    } catch (cause) {
      return { outcome: 'unknown', cause }
    }
  }

  return {
    async charge({ key, amount, method }) {
      const answer = await ask(at('/v1/charges'), {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ amountMinor: amount.minor, currency: amount.currency, source: method.token }),
      })
      // A payment gateway without the address that charges is configured wrongly; nothing is proved by that.
      return answer.outcome === 'absent'
        ? { outcome: 'unknown', cause: new Error('the payment gateway answered 404') }
        : answer
    },
    find: (key) => ask(at(`/v1/charges/${encodeURIComponent(key)}`), { method: 'GET' }),
  }
}
