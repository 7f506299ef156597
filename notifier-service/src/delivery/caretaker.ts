import { pause } from '@annals/platform/backoff'
import type { Logger } from '@annals/platform/log'
import type { Deliveries } from '../deliveries/claims'
import type { NotifierMetrics } from '../metrics'
import type { ChannelName, Outcome } from '../vocabulary'
import { settlementOf, type DeliveryPolicy } from './settlement'

export interface CaretakerDeps {
  deliveries: Deliveries
  policies: Record<ChannelName, DeliveryPolicy>
  metrics: NotifierMetrics
  log: Logger
  /** What has been waiting for longer is given up. */
  ageMsMax: number
  /** Called when something has become due. */
  onDue: () => void
}

/** Between rounds; what a crashed worker held is found this long after its lease at the latest. */
const roundEveryMs = 2_000
/** Of one round; a worker holds a handful at most. */
const lostMax = 100
/** Nobody was there to see how the attempt ended. */
const lostOutcome: Outcome = { kind: 'unknown', code: 'worker-lost' }

/** One round: gives up lost attempts as unknown, wakes what waited for a recipient, ends what has waited too long, drops challenges that are over. */
export async function takeCare({ deliveries, policies, metrics, log, ageMsMax, onDue }: CaretakerDeps): Promise<void> {
  const lost = await deliveries.lost(lostMax)
  for (const attempt of lost) {
    const settlement = settlementOf(policies[attempt.channel], attempt, lostOutcome, Math.random())
    await deliveries.settleLost(attempt, lostOutcome, settlement)
    metrics.lostAttempts.inc({ channel: attempt.channel })
    log.warn(
      { deliveryId: attempt.id, attempt: attempt.attempt, state: settlement.state },
      'attempt lost with its worker',
    )
  }
  const { awakened, expired } = await deliveries.sweep(ageMsMax)
  if (expired > 0) log.error({ expired }, 'deliveries given up: they waited too long')
  if (awakened > 0) onDue()
  await deliveries.dropExpired()
}

/** Takes care, round after round, in every instance: each step is safe beside another's. */
export function startCaretaker(deps: CaretakerDeps): () => Promise<void> {
  const ending = new AbortController()
  const running = (async () => {
    while (!ending.signal.aborted) {
      await takeCare(deps).catch((error: unknown) => deps.log.warn({ err: error }, 'no care taken this round'))
      await pause(roundEveryMs, ending.signal)
    }
  })()
  return async () => {
    ending.abort()
    await running
  }
}
