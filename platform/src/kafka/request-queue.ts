import RequestQueue, { type PushedRequest } from 'kafkajs/src/network/requestQueue'

/** How often a connection with too many requests in flight looks whether one more can go, in ms; kafkajs' own number. */
const checkEveryMs = 10

/**
 * The coordinator answers SyncGroup when the group's leader has divided the partitions. A leader that was killed
 * after it joined is given up after its session, 6 s. A consumer that gives up earlier comes back as another member,
 * and its former membership holds partitions for one more session.
 */
const syncGroupMs = 15_000

let guarded = false

/**
 * Mends two things of kafkajs 2.2.4, in every connection of the process.
 *
 * SyncGroup has the time limit of requests that are answered at once; it gets {@link syncGroupMs}.
 *
 * It re-arms a timer of a negative time, so of 1 ms, on every connection after its first answer, for ever:
 * an idle process burns CPU, and Node ≥ 20 prints `TimeoutNegativeWarning`. A timer is needed only while something waits.
 * @see https://github.com/tulios/kafkajs/issues/1751
 */
export function guardRequestQueue(): void {
  if (guarded) return
  guarded = true
  const { push } = RequestQueue.prototype
  RequestQueue.prototype.push = function (this: RequestQueue, request: PushedRequest) {
    push.call(this, request.entry.apiName === 'SyncGroup' ? { ...request, requestTimeout: syncGroupMs } : request)
  }
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
