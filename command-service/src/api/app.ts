import type { FastifyInstance } from 'fastify'
import { freshAuthentication, permits, problems, problemType, sessionOf, type Principal } from '@annals/contracts'
import { requireFresh, type Authenticate } from '@annals/platform/access-tokens'
import { createApi, type ApiOptions } from '@annals/platform/api'
import { toProblem } from './problems'
import { commandRoutes, type CommandRouteDeps } from './routes'

export interface AppDeps extends Pick<
  ApiOptions<CommandRouteDeps, Principal>,
  'browsers' | 'deps' | 'limits' | 'log' | 'metrics' | 'trustedProxies'
> {
  authenticate: Authenticate<Principal>
}

/** The command API. It does not listen. */
export const buildApp = ({ authenticate, ...options }: AppDeps): FastifyInstance =>
  createApi({
    ...options,
    routes: commandRoutes,
    access: {
      authenticate,
      permits,
      sessionOf,
      userOf: ({ userId }) => userId,
      assertFresh: requireFresh(freshAuthentication),
    },
    problems,
    problemType,
    toProblem,
  })
