import type { z } from 'zod'
import { neededPermission, type RouteAccess } from './permissions'
import type { Principal } from './principal'
import type { ProblemCode } from './problems'
import type { RateLimit } from './rate-limits'

/** The closed types of all APIs of Annals: what a route may name. */
export interface AnnalsApi {
  permission: RouteAccess
  principal: Principal
  problem: ProblemCode
  rateLimit: RateLimit
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** How a successful answer is written. */
export type AnswerForm = 'json' | 'csv' | 'ndjson' | 'events'
/** How a body is read; `raw`: bytes as they came, for signatures over them. */
export type BodyForm = 'json' | 'raw' | 'multipart'

/** What a route says of itself: documents are made from it. */
export interface RouteDescription {
  operationId: string
  method: Method
  /** With `:name` parameters. */
  path: string
  /** Other addresses that answer the same, such as names of former documents. */
  aliases?: readonly { method: Method; path: string }[] | undefined
  summary: string
  tag: string
  permission: RouteAccess
  /** The bearer has shown who they are within the last minutes; see {@link freshAuthentication}. */
  freshAuthentication?: true | undefined
  rateLimit: RateLimit
  params?: z.ZodObject | undefined
  query?: z.ZodObject | undefined
  headers?: z.ZodObject | undefined
  body?: z.ZodType | undefined
  /** Default: `json`. */
  bodyForm?: BodyForm | undefined
  /** Answer of success; without a schema it has no body. Of a stream: one line or event. */
  response: {
    status: number
    /** Further statuses of success. */
    others?: readonly number[] | undefined
    schema?: z.ZodType | undefined
    form?: AnswerForm | undefined
    /** Forms in which a request may ask for it beside that one. */
    alternatives?: readonly AnswerForm[] | undefined
  }
  /** Beyond those that every route of its kind may answer; see {@link problemsOf}. */
  problems: readonly ProblemCode[]
  examples?: Readonly<Record<string, { request?: unknown; answer?: unknown }>> | undefined
}

const always = ['invalid-request', 'internal-error', 'dependency-unavailable', 'overloaded'] as const
const withBody = ['payload-too-large', 'unsupported-media-type'] as const
const withToken = ['unauthenticated', 'session-ended', 'cross-site-refused'] as const

/** Every problem that a route may answer with: its own, and those of its kind. */
export function problemsOf(
  route: Pick<RouteDescription, 'permission' | 'freshAuthentication' | 'rateLimit' | 'body' | 'problems'>,
): readonly ProblemCode[] {
  return [
    ...new Set<ProblemCode>([
      ...route.problems,
      ...(route.permission === 'public' ? [] : withToken),
      ...(route.rateLimit === 'none' ? [] : (['too-many-requests'] as const)),
      ...(neededPermission(route.permission) ? (['forbidden'] as const) : []),
      ...(route.freshAuthentication ? (['authentication-too-old'] as const) : []),
      ...(route.body === undefined ? [] : withBody),
      ...always,
    ]),
  ]
}
