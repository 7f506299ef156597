import type { FastifyInstance } from 'fastify'
import { freshAuthentication, permits, problems, problemType, sessionOf, type Principal } from '@annals/contracts'
import { requireFresh, type Authenticate } from '@annals/platform/access-tokens'
import { createApi, HttpProblem, postgresProblem, type BrowserRules } from '@annals/platform/api'
import type { TrustedProxies } from '@annals/platform/client-address'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import type { Check } from '@annals/platform/process'
import type { RateLimits } from '@annals/platform/rate-limit'
import type { ConsistencyWait } from './consistency'
import type { LogState } from './log-state'
import { isMissingTable, type ReadModels } from './read-models'
import { queryRoutes } from './routes'

export interface QueryApiDependencies {
  models: ReadModels
  log: Logger
  metrics: Registry
  limits: RateLimits
  trustedProxies?: TrustedProxies
  authenticate: Authenticate<Principal>
  browsers?: BrowserRules
  consistency: ConsistencyWait
  now: () => Date
}

const toProblem = (error: unknown): HttpProblem | undefined =>
  isMissingTable(error)
    ? new HttpProblem('read-model-rebuilding', { headers: { 'retry-after': '2' }, cause: error })
    : postgresProblem(error)

/** What has to answer, so that a query can be answered. */
export const queryReadiness = (models: ReadModels, logState: LogState): Record<string, Check> => ({
  postgres: () => models.pool.query('select 1'),
  // Loudly: what it shows is not what the log says.
  async 'event-log'() {
    const { refusal } = await logState.read()
    if (refusal !== undefined) throw new Error(refusal)
  },
})

/** Builds the query API; it does not listen. */
export function buildQueryApi(deps: QueryApiDependencies): FastifyInstance {
  const { models, log, metrics, limits, trustedProxies, authenticate, browsers, consistency, now } = deps
  return createApi({
    routes: queryRoutes,
    deps: { models, consistency, now },
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
    metrics,
    problems,
    problemType,
    toProblem,
  })
}
