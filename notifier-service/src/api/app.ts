import type { FastifyInstance } from 'fastify'
import { freshAuthentication, permits, problems, problemType, sessionOf, type Principal } from '@annals/contracts'
import { requireFresh, type Authenticate } from '@annals/platform/access-tokens'
import { createApi, postgresProblem, type BrowserRules } from '@annals/platform/api'
import type { TrustedProxies } from '@annals/platform/client-address'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import type { RateLimits } from '@annals/platform/rate-limit'
import { notifierRoutes } from './routes'

export interface AppDeps {
  pool: Pool
  authenticate: Authenticate<Principal>
  browsers?: BrowserRules
  limits: RateLimits
  trustedProxies?: TrustedProxies
  registry: Registry
  log: Logger
}

/** The notifier's API. It does not listen. */
export const buildApp = ({
  pool,
  authenticate,
  limits,
  trustedProxies,
  browsers,
  registry,
  log,
}: AppDeps): FastifyInstance =>
  createApi({
    routes: notifierRoutes,
    deps: { pool, now: Date.now },
    access: {
      authenticate,
      permits,
      sessionOf,
      userOf: ({ userId }) => userId,
      assertFresh: requireFresh(freshAuthentication),
    },
    limits,
    ...(browsers ? { browsers } : {}),
    ...(trustedProxies ? { trustedProxies } : {}),
    log,
    metrics: registry,
    problems,
    problemType,
    toProblem: postgresProblem,
  })
