/**
 * The parts of kafkajs 2.2.4 behind its public API that the adapter stands on. The package is pinned to that version and
 * no longer changes; an upgrade has to pass `test/integration/kafka-*.test.ts`.
 */
declare module 'kafkajs/src/network/requestQueue' {
  /** Requests of one connection that wait to be sent. */
  export default class RequestQueue {
    pending: unknown[]
    /** Epoch ms until which the broker wants nothing to be sent; -1: no throttling. */
    throttledUntil: number
    throttleCheckTimeoutId: NodeJS.Timeout | null
    checkPendingRequests(): void
    scheduleCheckPendingRequests(): void
  }
}
