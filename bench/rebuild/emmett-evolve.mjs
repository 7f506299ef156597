/**
 * What a payment is now, as a document of Emmett's read model: our rows' columns under its own names, times in epoch ms.
 *
 * @param {Record<string, unknown> | null} payment @param {{ type: string, data: any, metadata: any }} event
 */
export function evolve(payment, { type, data, metadata }) {
  const at = Date.parse(metadata.occurredAt)
  // Positions in a stream begin with 1 there.
  const seen = { updatedAt: at, revision: Number(metadata.streamPosition) - 1 }
  switch (type) {
    case 'payment.created':
      return {
        userId: data.userId,
        status: 'pending',
        amountMinor: data.amount.minor,
        currency: data.amount.currency,
        methodType: data.method.type,
        description: data.description,
        failureCode: null,
        gatewayReference: null,
        attempts: 0,
        createdAt: at,
        ...seen,
      }
    case 'payment.process_started':
      return { ...payment, status: 'processing', attempts: data.attempt, failureCode: null, ...seen }
    case 'payment.processed':
      return { ...payment, status: 'completed', gatewayReference: data.gatewayReference, ...seen }
    case 'payment.failed':
      return { ...payment, status: 'failed', failureCode: data.code, ...seen }
    default:
      return { ...payment, status: 'unknown', ...seen }
  }
}
