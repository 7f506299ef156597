import { createRate } from './rate'
import type { RebuildStep } from '../rebuild/rebuild'

/** What is known of one read of the log while it goes on. */
export interface PassProgress {
  /** 0..1 of what this read goes through. */
  fraction: number
  events: number
  perSecond: number
  /** `undefined` while nothing is known. */
  etaSeconds: number | undefined
  /** From the position reached to where the read will end; 0: it is there. */
  lagPositions: bigint
  /** Age of the last event gone through, and 0 at the end; `undefined` where the event does not tell. */
  lagSeconds: number | undefined
}

/**
 * Follows one read of the log.
 * @param now monotonic ms, for rates; `clock` epoch ms, for ages.
 */
export function followPass(now: () => number, clock: () => number): (step: RebuildStep) => PassProgress {
  const rate = createRate(now)
  let begunAt: bigint | undefined
  return ({ position, end, events, recordedAt }) => {
    begunAt ??= position
    const span = Number(end - begunAt)
    const fraction = span <= 0 ? 1 : Math.min(1, Number(position - begunAt) / span)
    const { perSecond, etaS } = rate(events, fraction)
    const isThere = position >= end
    const age = Math.max(0, (clock() - recordedAt) / 1000)
    return {
      fraction,
      events,
      perSecond: Math.round(perSecond),
      etaSeconds: Number.isFinite(etaS) ? etaS : undefined,
      lagPositions: isThere ? 0n : end - position,
      lagSeconds: isThere ? 0 : Number.isNaN(age) ? undefined : age,
    }
  }
}
