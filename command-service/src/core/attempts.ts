import type { Attempt, RateLimits } from '@annals/platform/rate-limit'
import type { RateLimit } from '@annals/contracts'
import { TooManyRequests } from './faults'

/**
 * Counts an attempt at something that is known to a command only: a secret of an account, a token of a family. It comes before the
 * secret is looked at, and says nothing of whether there is such an account.
 * @param who what names it, whether it exists or not.
 * @returns the attempt; give it back when the secret was right, or was not looked at.
 * @throws TooManyRequests
 */
export type CountAttempt = (
  policy: RateLimit,
  by: 'account' | 'family',
  who: string,
) => Promise<Attempt & { isAllowed: true }>

export const createCountAttempt =
  (limits: Pick<RateLimits, 'attempt'>): CountAttempt =>
  async (policy, by, who) => {
    const attempt = await limits.attempt(policy, by, who)
    if (!attempt.isAllowed) throw new TooManyRequests(attempt.retryAfterSeconds)
    return attempt
  }
