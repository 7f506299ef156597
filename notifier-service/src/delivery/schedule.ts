/**
 * Waits between attempts to deliver a message, in seconds; one more attempt than waits. The first wait is short, for
 * a connection that broke. The others cover an outage of the other side for a working day (8.7 h in all). After that,
 * a payment's owner has looked it up long ago.
 */
export const emailRetrySchedule = [5, 60, 300, 1_800, 7_200, 21_600] as const

/** A text message is about now: ten minutes, then it is given up. */
export const smsRetrySchedule = [5, 60, 600] as const

/**
 * A wait is lengthened by up to a quarter, so that what failed together does not come back together. It is a length and no time:
 * the database adds it to its own clock, since those of processes differ.
 * @param attempt number of the attempt that failed, from 1.
 * @param jitter 0..1.
 * @returns ms until the next attempt, or `undefined` when attempts are exhausted.
 */
export function waitMsAfter(schedule: readonly number[], attempt: number, jitter: number): number | undefined {
  const waitSeconds = schedule[attempt - 1]
  return waitSeconds === undefined ? undefined : Math.round(waitSeconds * 1000 * (1 + jitter / 4))
}
