import type { FastifyInstance } from 'fastify'
import { isAdmin, problems, problemType, type Principal, type ProblemCode } from '@annals/contracts'
import type { Authenticate } from '@annals/platform/access-tokens'
import { createApi, HttpProblem } from '@annals/platform/api'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import { isDataException, isTransientPostgresError } from '@annals/platform/postgres'
import type { ConsistencyWait } from './consistency'
import type { LogState } from './log-state'
import { isMissingTable, type ReadModels } from './read-models'
import type { Ask, QueryRoute } from './route'
import { queryRoutes } from './routes'

export interface QueryApiDependencies {
  models: ReadModels
  log: Logger
  metrics: Registry
  authenticate: Authenticate<Principal>
  consistency: ConsistencyWait
  logState: LogState
  now: () => Date
}

function toProblem(error: unknown): HttpProblem | undefined {
  const retry = { headers: { 'Retry-After': '2' }, cause: error }
  // All values of these statements come from the request. Its schemas should have refused it: the log tells.
  if (isDataException(error))
    return new HttpProblem('invalid-request', { detail: 'A value of the request can not be looked for.', cause: error })
  if (isMissingTable(error)) return new HttpProblem('read-model-rebuilding', retry)
  return isTransientPostgresError(error) ? new HttpProblem('dependency-unavailable', retry) : undefined
}

/** Builds the query API; it does not listen. */
export function buildQueryApi(deps: QueryApiDependencies): FastifyInstance {
  const { models, log, metrics, authenticate, consistency, logState, now } = deps
  const app = createApi({
    log,
    metrics,
    problems,
    problemType: (code) => problemType(code as ProblemCode),
    toProblem,
    readiness: {
      postgres: () => models.pool.query('select 1'),
      // Loudly: what it shows is not what the log says.
      'event-log': async () => {
        const { refusal } = await logState.read()
        if (refusal !== undefined) throw new Error(refusal)
      },
    },
  })

  const add = (route: QueryRoute) =>
    app.route({
      method: route.method,
      url: route.path,
      schema: {
        ...(route.params ? { params: route.params } : {}),
        ...(route.query ? { querystring: route.query } : {}),
      },
      // Before the request is looked at: a stranger learns nothing from what is wrong with it.
      onRequest: async (request) => {
        const principal = await authenticate(request.headers.authorization)
        if (route.access === 'admin' && !isAdmin(principal)) throw new HttpProblem('forbidden')
        request.principal = principal
      },
      handler: async (request, reply) => {
        const token = request.headers['consistency-token']
        if (token !== undefined) await consistency.reach(String(token), route.reads)
        // What one person may see is not for shared caches.
        reply.header('cache-control', 'private, no-store')
        const { principal, params, query } = request
        return route.answer({ principal, params, query, models, now: now() } as Ask<never, never>)
      },
    })

  app.decorateRequest('principal')
  for (const route of queryRoutes) add(route)
  return app
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any handler of this API runs. */
    principal: Principal
  }
}
