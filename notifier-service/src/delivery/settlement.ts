import type { Outcome, Settlement } from '../vocabulary'
import { waitMsAfter } from './schedule'

/** How a channel's messages are repeated. */
export interface DeliveryPolicy {
  /** Seconds between attempts. */
  schedule: readonly number[]
  /**
   * Whether an attempt whose outcome is unknown may be repeated by itself. Only where the receiving side can tell the repeat
   * from a second message: a mail by its Message-ID. Twilio's API takes neither a key nor can it be asked for one.
   */
  repeatUnknown: boolean
}

/**
 * What becomes of a delivery after an attempt.
 * @param attempt number of the attempt, from 1.
 * @param doubt an earlier attempt of the same delivery ended unknown: then nothing but an acceptance may be called an end,
 *   since that earlier one may have arrived.
 * @param jitter 0..1.
 */
export function settlementOf(
  { schedule, repeatUnknown }: DeliveryPolicy,
  { attempt, doubt }: { attempt: number; doubt: boolean },
  outcome: Outcome,
  jitter: number,
): Settlement {
  const reason = outcome.code
  switch (outcome.kind) {
    case 'accepted':
      return { state: 'accepted', reason }
    case 'rejected':
      return { state: doubt ? 'unknown' : 'rejected', reason }
    case 'unknown':
      if (!repeatUnknown) return { state: 'unknown', reason }
      break
    case 'transient':
      break
  }
  const waitMs = waitMsAfter(schedule, attempt, jitter)
  if (waitMs !== undefined) return { state: 'pending', reason, waitMs }
  return { state: doubt || outcome.kind === 'unknown' ? 'unknown' : 'exhausted', reason }
}
