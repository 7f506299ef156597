/** Transactions begin at least this far apart, unless a full one is waiting. */
const apartMs = 25
/** So long an event waits for others, where transactions follow each other. */
const gatherMs = 20
/** After so long without a transaction none follows another: an event that comes then is alone, and does not wait. */
const calmMs = 50

/**
 * When the next transaction may begin, unless a full one is waiting before: all in ms on one clock. A transaction costs about the
 * same for one event as for ten, in the broker, here, and in all that read; an event waits 25 ms at most for sharing one.
 *
 * @param lastBeganAt of the transaction before; `-Infinity`: there was none.
 * @param oldestAt when the first event came that waits.
 */
export const beginsAt = (lastBeganAt: number, oldestAt: number): number =>
  Math.max(lastBeganAt + apartMs, Math.min(oldestAt + gatherMs, Math.max(oldestAt, lastBeganAt + calmMs)))
