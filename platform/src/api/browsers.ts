/** What pages in browsers may do with an API. */
export interface BrowserRules {
  /** See `answerHeaders`. */
  hstsSeconds: number
  /** Pages of other origins that may use the API, as a browser writes them: `https://app.example.org`. Each is compared whole. */
  origins: ReadonlySet<string>
  /** Access tokens may come as cookies, from pages of these origins. `csrfKey` makes the proofs that they need; all APIs have the same. */
  cookies?: { csrfKey: Buffer } | undefined
}

/** The settings that `httpFields` of the config folder reads. */
interface BrowserFields {
  HSTS_SECONDS: number
  CORS_ORIGINS: readonly string[]
  COOKIE_MODE: 'on' | 'off'
  CSRF_KEY?: Buffer | undefined
}

/** For a process that was told nothing: pages of no other origin, no cookies. */
export const noBrowsers: BrowserRules = { hstsSeconds: 365 * 86_400, origins: new Set() }

/** @throws Error when cookies are on without what they need; `readConfig` says so before. */
export function browserRulesOf({ HSTS_SECONDS, CORS_ORIGINS, COOKIE_MODE, CSRF_KEY }: BrowserFields): BrowserRules {
  const rules = { hstsSeconds: HSTS_SECONDS, origins: new Set(CORS_ORIGINS) }
  if (COOKIE_MODE === 'off') return rules
  if (!CSRF_KEY || rules.origins.size === 0) throw new Error('COOKIE_MODE needs CSRF_KEY and CORS_ORIGINS')
  return { ...rules, cookies: { csrfKey: CSRF_KEY } }
}
