import type { FastifyReply, FastifyRequest } from 'fastify'
import { networkOf } from '../client-address'
import { generalPolicy, type RateLimits, type RouteLimit } from '../rate-limit'
import { HttpProblem } from './problem'
import { rateLimitHeaders } from './rate-limit-headers'
import { everybody, type Route } from './route'

/** Who asks, and what they may. */
export interface Access<Principal> {
  /** @throws HttpProblem `unauthenticated`, `session-ended` or `dependency-unavailable`. */
  authenticate(authorization: string | undefined): Promise<Principal>
  permits(principal: NoInfer<Principal>, permission: string): boolean
  /** By whom requests are counted, from whatever address they come. */
  userOf(principal: NoInfer<Principal>): string
  /** The session that a request by cookie has to be proved for; `undefined`: this principal has none. Without it no cookie is taken. */
  sessionOf?(principal: NoInfer<Principal>): string | undefined
  /** Needed where a route asks for it. @throws HttpProblem when it is too long ago that they showed who they are. */
  assertFresh?(principal: NoInfer<Principal>): void
}

/** `identify`: who sends a request, by its token, wherever that stands. Throws as `authenticate` does, and `cross-site-refused`. */
export interface Identification<Principal> extends Access<Principal> {
  identify(request: FastifyRequest): Promise<Principal>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sends it; set before any handler of a route that is not for everybody. */
    principal: unknown
  }
}

/** 429, and when it is worth another try. */
const tooMany = () => new HttpProblem('too-many-requests', { detail: 'Wait as long as "Retry-After" says.' })

/**
 * Counts a request before anything is done for it. Who asks is found out in between, where the route is not for everybody: so a token
 * that is none is counted like one that is good, and looked at as often as requests of its client are allowed.
 * @throws HttpProblem `too-many-requests`, whatever came out of `identify`; else what that has thrown.
 */
async function counted<Principal>(
  limit: RouteLimit,
  request: FastifyRequest,
  reply: FastifyReply,
  { identify, userOf }: Pick<Access<Principal>, 'userOf'> & { identify: () => Promise<Principal | undefined> },
): Promise<Principal | undefined> {
  const entered = limit.enter(networkOf(request.clientAddress))
  if (entered.isAllowed === false) {
    reply.headers(rateLimitHeaders(entered))
    throw tooMany()
  }
  let principal: Principal | undefined
  let denial: { error: unknown } | undefined
  try {
    principal = await identify()
  } catch (error) {
    denial = { error }
  }
  const verdict = await entered.decide(principal === undefined ? undefined : userOf(principal))
  reply.headers(rateLimitHeaders(verdict))
  if (!verdict.isAllowed) throw tooMany()
  if (denial) throw denial.error
  return principal
}

/**
 * What happens to a request of a route before it is looked at: a stranger learns nothing from what is wrong with it.
 * @returns `undefined`: everybody is let in, and nobody counts.
 */
export function admission<Principal>(
  { permission, freshAuthentication }: Pick<Route<never>, 'permission' | 'freshAuthentication'>,
  limit: RouteLimit | undefined,
  access: Identification<Principal>,
) {
  const isForEverybody = permission === everybody
  if (isForEverybody && !limit) return undefined
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const identify = async () => (isForEverybody ? undefined : await access.identify(request))
    const principal = limit
      ? await counted(limit, request, reply, { identify, userOf: access.userOf })
      : await identify()
    if (principal === undefined) return
    if (!access.permits(principal, permission)) throw new HttpProblem('forbidden')
    if (freshAuthentication) access.assertFresh!(principal)
    request.principal = principal
  }
}

/**
 * What finds no route is counted by itself: whoever looks for routes is a client like others. What a browser asks before a request
 * (OPTIONS) is not: it is told the same each time, and the request that it is about is counted.
 */
export function generalLimit(limits: RateLimits) {
  const limit = limits.ofRoute(generalPolicy, 'unknown')
  if (!limit) return {}
  const nobody = { identify: async () => undefined, userOf: () => '' }
  return {
    async preValidation(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      if (request.method !== 'OPTIONS') await counted<undefined>(limit, request, reply, nobody)
    },
  }
}
