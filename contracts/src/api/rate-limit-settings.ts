import { z } from 'zod'
import { limitedBy, rateLimits, type LimitedBy, type RateWindow } from './rate-limits'

/** The windows of each policy, as a deployment has them. */
export type RateLimitTable = {
  readonly [Policy in keyof typeof rateLimits]: { readonly [By in LimitedBy]?: RateWindow }
}

/** Redis keeps a member for each counted attempt: a million take some 100 MB. */
const limitMax = 1_000_000
/** Beyond a day a limit is a quota, which is another thing. */
const windowSecondsMax = 86_400

const form = /^([a-z-]+)\.([a-z]+)=(?:(\d{1,7})\/(\d{1,5})|off)$/
const defaults = Object.fromEntries(
  Object.entries(rateLimits).map(([policy, { windows }]) => [policy, windows]),
) as RateLimitTable

function fault(text: string): string | undefined {
  const [, policy = '', by = '', limit, seconds] = form.exec(text) ?? []
  if (policy === '') return 'must be policy.by=limit/seconds or policy.by=off, comma separated'
  if (!Object.hasOwn(rateLimits, policy) || policy === 'none')
    return `must name a policy: ${Object.keys(defaults)
      .filter((name) => name !== 'none')
      .join(', ')}`
  if (!limitedBy.some((name) => name === by)) return `must say by what it counts: ${limitedBy.join(', ')}`
  if (limit === undefined) return undefined
  if (Number(limit) < 1 || Number(limit) > limitMax) return `must have limits from 1 to ${limitMax}`
  if (Number(seconds) < 1 || Number(seconds) > windowSecondsMax)
    return `must have windows from 1 to ${windowSecondsMax} seconds`
  return undefined
}

/**
 * The setting `RATE_LIMITS`: what differs from the defaults, such as `authentication.ip=20/60, general.ip=off`. Each
 * policy and what it counts by is named once at most.
 */
export const RateLimitSettings = z
  .string()
  .default('')
  .transform((text, context): RateLimitTable => {
    const table: Record<string, Record<string, RateWindow>> = structuredClone(defaults) as never
    const seen = new Set<string>()
    for (const part of text.split(',').map((some) => some.trim())) {
      if (part === '') continue
      const wrong = fault(part)
      const [, policy = '', by = '', limit, seconds] = form.exec(part) ?? []
      if (wrong !== undefined || seen.has(`${policy}.${by}`)) {
        context.addIssue({ code: 'custom', message: wrong ?? 'must not name a window twice' })
        return z.NEVER
      }
      seen.add(`${policy}.${by}`)
      if (limit === undefined) delete table[policy]![by]
      else table[policy]![by] = { limit: Number(limit), windowSeconds: Number(seconds) }
    }
    return table as RateLimitTable
  })
