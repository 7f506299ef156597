import { z } from 'zod'
import { GatewayReference, type PaymentFailureCode } from '@annals/contracts'
import type { Gateway, GatewayAnswer } from './port'

export interface HttpGatewayOptions {
  baseUrl: string
  /** How long an answer is waited for; afterwards it is unknown. */
  timeoutMs: number
}

const Charge = z.discriminatedUnion('status', [
  z.object({ status: z.literal('succeeded'), id: GatewayReference }),
  z.object({ status: z.literal('declined'), reason: z.string().max(200) }),
])

const failureCodes: Record<string, PaymentFailureCode> = {
  card_declined: 'card-declined',
  insufficient_funds: 'insufficient-funds',
  expired_card: 'card-expired',
}

/** Speaks to a gateway over HTTP: `POST /v1/charges` with an `Idempotency-Key`, `GET /v1/charges/<key>`. */
export function createHttpGateway({ baseUrl, timeoutMs }: HttpGatewayOptions): Gateway {
  const at = (path: string) => new URL(path, baseUrl)

  /** Only a well-formed answer proves anything: no answer, a 5xx or nonsense is unknown. */
  async function ask(url: URL, init: RequestInit): Promise<GatewayAnswer | { outcome: 'absent' }> {
    try {
      const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
      const body: unknown = await response.json()
      if (response.status === 404) return { outcome: 'absent' }
      if (response.status !== 200 && response.status !== 402) throw new Error(`the gateway answered ${response.status}`)
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
      // A gateway without the address that charges is configured wrongly; nothing is proved by that.
      return answer.outcome === 'absent' ? { outcome: 'unknown', cause: new Error('the gateway answered 404') } : answer
    },
    find: (key) => ask(at(`/v1/charges/${encodeURIComponent(key)}`), { method: 'GET' }),
  }
}
