import type { Money, PaymentFailureCode, PaymentMethod } from '@annals/contracts'

/** What a payment gateway's answer proves. `unknown`: nothing; money may or may not have moved. */
export type PaymentGatewayAnswer =
  | { outcome: 'charged'; reference: string }
  | { outcome: 'refused'; code: PaymentFailureCode }
  | { outcome: 'unknown'; cause: unknown }

/** A payment gateway. Its methods never throw: every failure is an answer that proves nothing. */
export interface PaymentGateway {
  /** Charges once per key, however often it is asked while it remembers the key; a repeat is answered as the first was. */
  charge(charge: { key: string; amount: Money; method: PaymentMethod }): Promise<PaymentGatewayAnswer>
  /**
   * What became of a key; `absent`: the payment gateway knows of no charge under it. That is proof only while it remembers keys: Stripe
   * forgets them after a day.
   */
  find(key: string): Promise<PaymentGatewayAnswer | { outcome: 'absent' }>
}
