import type { z } from 'zod'
import type { Principal, ProblemCode } from '@annals/contracts'
import type { Projection } from '../engine/definition/projection'
import type { ReadModels } from './read-models'

/** A request after all checks: authenticated, validated, as fresh as it asked to be. */
export interface Ask<Params, Query> {
  principal: Principal
  params: Params
  query: Query
  models: ReadModels
  now: Date
}

/** One route of the query API: what is documented of it, and what answers it. */
export interface QueryRoute {
  readonly operationId: string
  readonly method: 'GET'
  /** With `:name` for parameters. */
  readonly path: string
  readonly summary: string
  /** `own`: everybody who is logged in, and sees what is theirs; `admin`: administrators only. */
  readonly access: 'own' | 'admin'
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly response: z.ZodType
  /** Beyond those that every route may answer, which are `commonProblems`. */
  readonly problems: readonly ProblemCode[]
  /** Read models that the answer comes from: what a consistency token is waited for in. */
  readonly reads: readonly Projection[]
  readonly answer: (ask: Ask<never, never>) => Promise<unknown>
}

/** What every route of this API may answer. */
export const commonProblems: readonly ProblemCode[] = [
  'invalid-request',
  'invalid-consistency-token',
  'unauthenticated',
  'session-ended',
  'internal-error',
  'overloaded',
  'dependency-unavailable',
  'read-model-behind',
  'read-model-parked',
  'read-model-of-another-log',
  'read-model-rebuilding',
]

type Empty = Record<never, never>

/** Declares a route; the types of its parameters, query and answer come from its schemas. */
export function defineRoute<
  Response extends z.ZodType,
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
>(
  route: Omit<QueryRoute, 'method' | 'params' | 'query' | 'response' | 'answer'> & {
    params?: Params
    query?: Query
    response: Response
    answer: (
      ask: Ask<Params extends z.ZodType ? z.infer<Params> : Empty, Query extends z.ZodType ? z.infer<Query> : Empty>,
    ) => Promise<z.infer<Response>>
  },
): QueryRoute {
  return { method: 'GET', ...route } as unknown as QueryRoute
}
