import type { NamedStanding, RequestVerdict } from '../rate-limit'

/** How many in how many seconds: `q` and `w`. */
const policyOf = ({ name, limit, windowSeconds }: NamedStanding) => `"${name}";q=${limit};w=${windowSeconds}`
/** How many remain, and when there will be room for more: `r` and `t`. */
const standingOf = ({ name, remaining, resetSeconds }: NamedStanding) => `"${name}";r=${remaining};t=${resetSeconds}`

/**
 * What an answer tells of the windows that its request was counted in, as structured fields (RFC 9651); of a request
 * that was refused, the window that was full.
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ version 10
 */
export function rateLimitHeaders(verdict: RequestVerdict): Record<string, string> {
  const told = verdict.isAllowed ? verdict.standings : [verdict.full]
  if (told.length === 0) return {}
  return {
    'ratelimit-policy': told.map(policyOf).join(', '),
    ratelimit: told.map(standingOf).join(', '),
    ...(verdict.isAllowed ? {} : { 'retry-after': String(verdict.retryAfterSeconds) }),
  }
}
