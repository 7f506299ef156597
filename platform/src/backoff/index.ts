import { setTimeout as delay } from 'node:timers/promises'

/** Exponential backoff with full jitter; times in ms. */
export interface BackoffPolicy {
  firstMs: number
  maxMs: number
}

/**
 * @param attempt from 1.
 * @param jitter 0..1.
 * @returns ms to wait after that attempt.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export const backoffMs = ({ firstMs, maxMs }: BackoffPolicy, attempt: number, jitter: number): number =>
  Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30)) * (0.5 + jitter / 2)

/** Waits, or ends early and without an error when the signal aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal ? { signal } : {})
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}
