import RequestQueue from 'kafkajs/src/network/requestQueue'

/** How often a connection with too many requests in flight looks whether one more can go, in ms; kafkajs' own number. */
const checkEveryMs = 10

let guarded = false

/**
 * kafkajs 2.2.4 re-arms a timer of a negative time, so of 1 ms, on every connection after its first answer, for ever:
 * an idle process burns CPU, and Node ≥ 20 prints `TimeoutNegativeWarning`. A timer is needed only while something waits.
 * @see https://github.com/tulios/kafkajs/issues/1751
 */
export function guardRequestQueue(): void {
  if (guarded) return
  guarded = true
  RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.throttleCheckTimeoutId || this.pending.length === 0) return
    const throttledMs = this.throttledUntil - Date.now()
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null
        this.checkPendingRequests()
      },
      throttledMs > 0 ? throttledMs : checkEveryMs,
    )
  }
}
