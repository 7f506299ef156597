import { counter, type Registry } from '../metrics'
import { createRateLimit, type Attempt, type WindowStanding } from './rate-limit'
import type { SharedWindows } from './shared-windows'
import type { RateWindow } from './window'

/** Windows of each policy, by what they count by: how many in how many seconds. */
export type LimitTable = Readonly<Record<string, Readonly<Record<string, WindowSetting | undefined>>>>
export interface WindowSetting {
  limit: number
  windowSeconds: number
}

/** Counts every request beside the policy that its route names. */
export const generalPolicy = 'general'
/** Nothing is counted, not even that. */
export const noPolicy = 'none'

/** A window of a request, for its answer to tell. */
export interface NamedStanding extends WindowSetting, WindowStanding {
  /** As settings call it, such as `general.ip`. */
  name: string
}

export type RequestVerdict =
  { isAllowed: true; standings: NamedStanding[] } | { isAllowed: false; full: NamedStanding; retryAfterSeconds: number }

/** A request that this process has room for. */
export interface EnteredRequest {
  isAllowed: undefined
  /** Decides. `user`: who asks, as far as that is known. Never throws. */
  decide(user: string | undefined): Promise<RequestVerdict>
}

/** What bounds how often a route is called. */
export interface RouteLimit {
  /** Before it is known who asks. `client`: an address, or a network of IPv6. */
  enter(client: string): EnteredRequest | (RequestVerdict & { isAllowed: false })
}

export interface RateLimits {
  /**
   * @returns `undefined` when nothing bounds it.
   * @throws Error when there is no such policy.
   */
  ofRoute(policy: string, operationId: string): RouteLimit | undefined
  /**
   * Counts an attempt in the window that a policy has for accounts, or for families: before the secret is looked at, so
   * those at the same time are counted like others. Never throws, unless there is no such policy.
   * @param who a name that exists whether the account does or not.
   * @param scale of the limit; default 1.
   */
  attempt(policy: string, by: 'account' | 'family', who: string, scale?: number): Promise<Attempt>
}

export interface RateLimitsOptions {
  table: LimitTable
  shared: SharedWindows
  metrics: Registry
}

/** An attempt that nothing counts. */
const uncounted: Attempt = { isAllowed: true, standings: [], async giveBack() {}, async forget() {} }

/** What a request is counted by, in the order in which windows refuse. */
const byClient = ['ip', 'endpoint'] as const
const byUser = 'user'

interface NamedWindow extends WindowSetting {
  name: string
  policy: string
  by: string
}

/** All limits of a process, by the names of their policies. */
export function createRateLimits({ table, shared, metrics }: RateLimitsOptions): RateLimits {
  const refusals = counter(metrics, 'annals_api_limited_total', 'Requests and attempts that a rate limit refused', [
    'policy',
    'by',
  ])
  const alone = counter(
    metrics,
    'annals_api_limits_unshared_total',
    'Questions about rate limits that Redis did not answer: this process decided alone, by half of each limit',
  )
  const rateLimit = createRateLimit({ shared, onSilent: () => alone.inc() })

  function windowsOf(policy: string): NamedWindow[] {
    const windows = Object.hasOwn(table, policy) ? table[policy] : undefined
    if (!windows) throw new Error(`there is no rate limit policy "${policy}"`)
    return Object.entries(windows).flatMap(([by, setting]) =>
      setting ? [{ ...setting, policy, by, name: `${policy}.${by}` }] : [],
    )
  }
  const windowOf = ({ name, limit, windowSeconds }: NamedWindow, who: string): RateWindow => ({
    key: `limit:${name}:${who}`,
    limit,
    windowMs: windowSeconds * 1000,
  })
  const standingOf = ({ name, limit, windowSeconds }: NamedWindow, standing: WindowStanding): NamedStanding => ({
    name,
    limit,
    windowSeconds,
    ...standing,
  })
  function refused(windows: readonly NamedWindow[], { full, retryAfterSeconds }: Attempt & { isAllowed: false }) {
    const window = windows[full]!
    refusals.inc({ policy: window.policy, by: window.by })
    const standing = standingOf(window, { remaining: 0, resetSeconds: retryAfterSeconds })
    return { isAllowed: false as const, full: standing, retryAfterSeconds }
  }

  return {
    ofRoute(policy, operationId) {
      if (policy === noPolicy) return undefined
      const windows = [...new Set([generalPolicy, policy])].flatMap(windowsOf)
      const ofClient = windows.filter(({ by }) => byClient.some((each) => each === by))
      const ofUser = windows.filter(({ by }) => by === byUser)
      if (ofClient.length + ofUser.length === 0) return undefined
      return {
        enter(client) {
          const entered = rateLimit.enter(
            ofClient.map((window) => windowOf(window, window.by === 'ip' ? client : `${operationId}:${client}`)),
          )
          if (!('decide' in entered)) return refused(ofClient, entered)
          return {
            isAllowed: undefined,
            async decide(user) {
              const more = user === undefined ? [] : ofUser
              const attempt = await entered.decide(more.map((window) => windowOf(window, user!)))
              const counted = [...ofClient, ...more]
              if (!attempt.isAllowed) return refused(counted, attempt)
              return {
                isAllowed: true,
                standings: attempt.standings.map((standing, i) => standingOf(counted[i]!, standing)),
              }
            },
          }
        },
      }
    },
    async attempt(policy, by, who, scale = 1) {
      const window = windowsOf(policy).find((each) => each.by === by)
      if (!window) return uncounted
      const scaled = { ...window, limit: Math.max(1, Math.round(window.limit * scale)) }
      const attempt = await rateLimit.attempt([windowOf(scaled, who)])
      if (!attempt.isAllowed) refusals.inc({ policy, by })
      return attempt
    },
  }
}

/** Limits that count nothing: for tests and measurements of something else. */
export const noLimits: RateLimits = { ofRoute: () => undefined, attempt: async () => uncounted }
