import type { FastifyInstance } from 'fastify'
import { permits, problems, problemType, type Permission, type Principal, type ProblemCode } from '@annals/contracts'
import type { Authenticate } from '@annals/platform/access-tokens'
import { createApi, HttpProblem } from '@annals/platform/api'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import { isDataException, isTransientPostgresError, type Pool } from '@annals/platform/postgres'
import { notifierRoutes } from './routes'

export interface AppDeps {
  pool: Pool
  authenticate: Authenticate<Principal>
  registry: Registry
  log: Logger
}

function toProblem(error: unknown): HttpProblem | undefined {
  if (isTransientPostgresError(error))
    return new HttpProblem('dependency-unavailable', { headers: { 'retry-after': '2' }, cause: error })
  // All values of the statement come from the request.
  if (isDataException(error))
    return new HttpProblem('invalid-request', {
      detail: 'The request has a value that cannot be searched for.',
      cause: error,
    })
  return undefined
}

/** The notifier's API. It does not listen. */
export const buildApp = ({ pool, authenticate, registry, log }: AppDeps): FastifyInstance =>
  createApi({
    routes: notifierRoutes,
    deps: { pool, now: Date.now },
    access: { authenticate, permits: (principal, permission) => permits(principal, permission as Permission) },
    log,
    metrics: registry,
    problems,
    problemType: (code) => problemType(code as ProblemCode),
    toProblem,
  })
