import type { LogEvent } from '@annals/platform/event-log'
import type { Charge } from './payment-gateway'

const dataOf = <T>(events: readonly LogEvent[], type: string) =>
  events.find((event) => event.type === type)?.data as T | undefined

/**
 * Holds what the log says of payments against what the payment gateway has taken.
 * @param streams the events of each payment. @param charges all that the payment gateway has taken for them.
 * @returns one sentence for each difference: money that was taken twice, not at all, without a payment, or another sum.
 */
export function chargeFaults(streams: readonly (readonly LogEvent[])[], charges: readonly Charge[]): string[] {
  const faults: string[] = []
  const explained = new Set<Charge>()
  for (const events of streams) {
    const { stream } = events[0]!
    const { amount } = dataOf<{ amount: { minor: number; currency: string } }>(events, 'payment.created')!
    const keys = events.filter(({ type }) => type === 'payment.process_started').map(({ data }) => data)
    const own = charges.filter(({ key }) =>
      keys.some((started) => (started as { gatewayKey: string }).gatewayKey === key),
    )
    for (const charge of own) explained.add(charge)
    const processed = dataOf<{ gatewayReference: string }>(events, 'payment.processed')
    if (own.length > 1) faults.push(`${stream} was charged ${own.length} times`)
    if (processed && own.length === 0) faults.push(`${stream} is completed and was never charged`)
    if (dataOf(events, 'payment.failed') && own.length > 0) faults.push(`${stream} has failed and was charged`)
    for (const { amountMinor, currency, reference } of own) {
      if (amountMinor !== amount.minor || currency !== amount.currency) faults.push(`${stream}: another sum was taken`)
      if (processed && processed.gatewayReference !== reference) faults.push(`${stream} names another charge`)
    }
  }
  for (const charge of charges)
    if (!explained.has(charge)) faults.push(`charge ${charge.reference} belongs to no payment`)
  return faults
}
