import type { SkipReason } from '../vocabulary'

/** Which events may still lead to a message. */
export interface AdmissionPolicy {
  /** Epoch ms: events before it belong to a time before this notifier. `undefined`: no such time. */
  from: number | undefined
  /** An intent older than this when it is first seen is recorded and not sent: nobody wants last week's confirmation. */
  ageMsMax: number
}

/**
 * @param occurredAt ISO 8601 time of the fact.
 * @param now epoch ms, by the clock of the database.
 * @returns why the intent is not to be sent, or `undefined` when it is.
 */
export function skipReasonOf(
  { from, ageMsMax }: AdmissionPolicy,
  occurredAt: string,
  now: number,
): SkipReason | undefined {
  const at = Date.parse(occurredAt)
  if (from !== undefined && at < from) return 'before-start'
  return now - at > ageMsMax ? 'too-old' : undefined
}
