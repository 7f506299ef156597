import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  keptLine,
  problems,
  problemType,
  userAgentForm,
  type Principal,
  type ProblemCode,
  type RouteDescription,
} from '@annals/contracts'
import type { Authenticate } from '@annals/platform/access-tokens'
import { createApi, HttpProblem, type ApiOptions } from '@annals/platform/api'
import { counter } from '@annals/platform/metrics'
import type { Handlers } from './handlers'
import { toProblem } from './problems'
import { commandRoutes, type CommandRouteName } from './routes'

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | undefined
  }
}

export interface AppDeps extends Pick<ApiOptions, 'log' | 'metrics' | 'readiness' | 'trustedProxies'> {
  handlers: Handlers
  authenticate: Authenticate<Principal>
}

/** The command API. It does not listen. */
export function buildApp({ handlers, authenticate, ...options }: AppDeps): FastifyInstance {
  const app = createApi({
    ...options,
    problems,
    problemType: (code) => problemType(code as ProblemCode),
    toProblem,
  })
  const commands = counter(options.metrics, 'annals_command_outcomes_total', 'Commands by route and outcome', [
    'route',
    'outcome',
  ])
  app.decorateRequest('principal', undefined)

  for (const name of Object.keys(commandRoutes) as CommandRouteName[]) {
    const route: RouteDescription = commandRoutes[name]
    const handle = handlers[name] as (incoming: unknown) => Promise<{ body: unknown; headers?: Record<string, string> }>

    app.route({
      method: route.method,
      url: route.path,
      schema: {
        ...(route.params ? { params: route.params } : {}),
        ...(route.body ? { body: route.body } : {}),
        // Other headers than those it names are none of its business, and stay.
        ...(route.headers ? { headers: route.headers.loose() } : {}),
      },
      async onRequest(request) {
        if (route.auth !== 'none') request.principal = await authenticate(request.headers.authorization)
      },
      async preValidation(request) {
        const key = route.headers?.shape['idempotency-key']
        if (key && request.headers['idempotency-key'] === undefined && !key.safeParse(undefined).success)
          throw new HttpProblem('idempotency-key-required', {
            detail: 'Send a header "Idempotency-Key" that names this payment, such as a UUID of yours.',
          })
      },
      async onResponse(_request, reply) {
        commands.inc({ route: name, outcome: reply.problemCode ?? 'done' })
      },
      async handler(request, reply) {
        return send(reply, route.response.status, await handle(incomingOf(request)))
      },
    })
  }
  return app
}

const incomingOf = (request: FastifyRequest) => ({
  correlationId: request.correlationId,
  idempotencyKey: request.headers['idempotency-key'],
  principal: request.principal,
  ip: request.clientAddress,
  // Kept with the login, for its owner to recognise: mended rather than refused.
  userAgent: keptLine(request.headers['user-agent'] ?? '', userAgentForm),
  params: request.params,
  headers: request.headers,
  body: request.body,
})

const send = (
  reply: FastifyReply,
  status: number,
  { body, headers = {} }: { body: unknown; headers?: Record<string, string> },
) =>
  body === undefined
    ? reply.code(status).headers(headers).send()
    : reply.code(status).headers(headers).type('application/json').send(JSON.stringify(body))
