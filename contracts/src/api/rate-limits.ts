/**
 * What a window counts by. `ip`: an address of IPv4, or a /64 of IPv6. `endpoint`: the same, of each operation by
 * itself. `user`: who is logged in, from wherever. `account`: whose secret is tried, whether there is such an account or
 * not. `family`: a session, by its refresh tokens.
 */
export const limitedBy = ['ip', 'endpoint', 'user', 'account', 'family'] as const
export type LimitedBy = (typeof limitedBy)[number]

/** So many within the last so many seconds, wherever a window of that length is laid. */
export interface RateWindow {
  limit: number
  windowSeconds: number
}

export interface RatePolicy {
  meaning: string
  windows: { readonly [By in LimitedBy]?: RateWindow }
}

const minute = 60
const quarter = 15 * minute

/**
 * What bounds how often a route may be called: a route names one of these. Numbers are the defaults; a deployment sets
 * others by `RATE_LIMITS`. Whatever a route names, `general` counts it too, unless it names `none`.
 *
 * `ip`, `endpoint` and `user` count requests, before they are looked at. `account` and `family` are counted by the
 * command, which alone knows whose secret it is; of `authentication` and `secrets`, what was right is taken back: these
 * count failures.
 */
export const rateLimits = {
  general: {
    meaning: 'every request of a client, whatever it asks for',
    windows: { ip: { limit: 100, windowSeconds: minute } },
  },
  authentication: {
    meaning: 'it tries a password, or what stands for one, of an account',
    windows: { ip: { limit: 10, windowSeconds: minute }, account: { limit: 5, windowSeconds: quarter } },
  },
  registration: {
    meaning: 'it makes an account',
    windows: { ip: { limit: 3, windowSeconds: 5 * minute } },
  },
  'password-reset': {
    meaning: 'it sends mail to an address that somebody names, or uses what such a mail brought',
    windows: { ip: { limit: 5, windowSeconds: minute }, account: { limit: 5, windowSeconds: quarter } },
  },
  mfa: {
    meaning: 'it tries a second factor',
    windows: { account: { limit: 1, windowSeconds: 10 } },
  },
  refresh: {
    meaning: 'it exchanges a refresh token',
    windows: { family: { limit: 10, windowSeconds: quarter } },
  },
  secrets: {
    meaning: 'it compares a secret of who is logged in: step-up, change of password, confirmation of a factor, API key',
    windows: { endpoint: { limit: 10, windowSeconds: minute }, account: { limit: 5, windowSeconds: quarter } },
  },
  commands: {
    meaning: 'it changes something; how many run at once is bounded too, for each purpose and each principal',
    windows: { user: { limit: 100, windowSeconds: minute } },
  },
  queries: {
    meaning: 'it reads',
    windows: { user: { limit: 200, windowSeconds: minute } },
  },
  none: {
    meaning: 'nothing is counted: its answer is the same for everybody, and caches keep it',
    windows: {},
  },
} as const satisfies Record<string, RatePolicy>

/** What a route may name. */
export type RateLimit = Exclude<keyof typeof rateLimits, 'general'>
