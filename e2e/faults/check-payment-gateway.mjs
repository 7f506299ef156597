import { existsSync, readFileSync } from 'node:fs'

/**
 * @typedef {object} Charge what the payment gateway's sandbox has on record under one key: what it was asked, and what it did
 * @property {string} key
 * @property {{ amountMinor: number, currency: string }} request
 * @property {{ status: 'succeeded', id: string } | { status: 'declined', reason: string } | null} result `null`: asked, and
 *   nothing became of it
 */

/**
 * The record that the payment gateway keeps: its own word on what was charged, whatever anybody here believes.
 *
 * @param {string} file of the sandbox
 * @returns {Charge[]} in the order in which they were made; none when it was never asked
 */
export function readCharges(file) {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const { key, request, result } = JSON.parse(line)
      return { key, request: JSON.parse(request), result }
    })
}

/**
 * Money moved exactly where the log says so. A completed payment was charged once, with its amount, under a key that
 * was on record before. A payment that failed or was never processed was not charged. No charge is without its
 * payment.
 *
 * @param {import('./check-log.mjs').LogEvent[]} events the whole log
 * @param {Charge[]} charges
 * @param {import('./findings.mjs').Findings} findings
 * @param {{ past?: Map<string, unknown>, gone?: Set<string> }} [options] `past`: streams written by hand, which no payment gateway was asked
 *   about; `gone`: keys of charges whose facts a restored log has no more
 */
export function checkPaymentGateway(events, charges, findings, { past = new Map(), gone = new Set() } = {}) {
  const payments = paymentsOf(events.filter(({ stream }) => !past.has(stream)))
  const taken = new Map()
  for (const charge of charges)
    if (charge.result?.status === 'succeeded') taken.set(charge.key, [...(taken.get(charge.key) ?? []), charge])
  const named = new Set(gone)
  for (const payment of payments.values()) {
    for (const key of payment.keys) named.add(key)
    const charges = payment.keys.flatMap((key) => taken.get(key) ?? [])
    checkPayment(payment, charges, findings)
  }
  for (const key of taken.keys())
    if (!named.has(key))
      findings.wrong('payment-gateway', `charge ${key}: money was taken, and no payment in the log asked for it`)
}

function checkPayment({ id, status, amount, reference }, charges, findings) {
  const what = `payment ${id} is ${status}`
  if (charges.length > 1)
    findings.doubled('payment-gateway', `${what}, and was charged ${charges.length} times`, charges.length - 1)
  const [charge] = charges
  if (!charge) {
    if (status === 'completed') findings.lost('payment-gateway', `${what}, and was never charged`)
    return
  }
  // A charge whose outcome nobody knows yet may be there; one that nobody asked for, or that was refused, must not.
  const undecided = status === 'processing' || status === 'unknown'
  if (status !== 'completed' && !undecided) findings.wrong('payment-gateway', `${what}, and was charged`)
  const { amountMinor, currency } = charge.request
  if (amountMinor !== amount.minor || currency !== amount.currency)
    findings.wrong('payment-gateway', `${what}: ${amount.minor} ${amount.currency} became ${amountMinor} ${currency}`)
  if (status === 'completed' && reference !== charge.result.id)
    findings.wrong('payment-gateway', `${what} as ${reference}, which the payment gateway calls ${charge.result.id}`)
}

/** What the log says of each payment, by its stream. */
function paymentsOf(events) {
  const payments = new Map()
  for (const { stream, type, data } of events) {
    const payment = payments.get(stream)
    if (!payment) {
      if (type === 'payment.created')
        payments.set(stream, { id: data.paymentId, status: 'pending', amount: data.amount, keys: [] })
      continue
    }
    if (type === 'payment.process_started') {
      payment.status = 'processing'
      if (!payment.keys.includes(data.gatewayKey)) payment.keys.push(data.gatewayKey)
    }
    if (type === 'payment.outcome_unknown') payment.status = 'unknown'
    if (type === 'payment.failed') payment.status = 'failed'
    if (type === 'payment.processed') Object.assign(payment, { status: 'completed', reference: data.gatewayReference })
  }
  return payments
}
