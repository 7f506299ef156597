import type { FastifyInstance } from 'fastify'
import { permits, problems, problemType, sessionOf, type Principal } from '@annals/contracts'
import type { Authenticate } from '@annals/platform/access-tokens'
import { createApi, postgresProblem, type BrowserRules } from '@annals/platform/api'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import { notifierRoutes } from './routes'

export interface AppDeps {
  pool: Pool
  authenticate: Authenticate<Principal>
  browsers?: BrowserRules
  registry: Registry
  log: Logger
}

/** The notifier's API. It does not listen. */
export const buildApp = ({ pool, authenticate, browsers, registry, log }: AppDeps): FastifyInstance =>
  createApi({
    routes: notifierRoutes,
    deps: { pool, now: Date.now },
    access: { authenticate, permits, sessionOf },
    ...(browsers ? { browsers } : {}),
    log,
    metrics: registry,
    problems,
    problemType,
    toProblem: postgresProblem,
  })
