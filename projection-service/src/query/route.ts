import { z } from 'zod'
import type { AnnalsApi, ProblemCode } from '@annals/contracts'
import { routeDefiner, type Answer, type Incoming, type Route } from '@annals/platform/api'
import type { Projection } from '../engine/definition/projection'
import type { ConsistencyWait } from './consistency'
import type { ReadModels } from './read-models'

/** What the routes of the query API need. */
export interface QueryDeps {
  models: ReadModels
  consistency: ConsistencyWait
  now: () => Date
}

const defineRoute = routeDefiner<AnnalsApi, QueryDeps>()

/** Of every query: the answer is at least as new as the token says. */
export const ConsistencyHeaders = z.object({
  'consistency-token': z
    .string()
    .optional()
    .describe("From a command's answer: this answer is at least as new, or a problem after a bounded wait"),
})

/** What every query may answer because of the read models that it reads. */
export const readProblems = [
  'invalid-consistency-token',
  'read-model-behind',
  'read-model-parked',
  'read-model-of-another-log',
  'read-model-rebuilding',
] as const satisfies readonly ProblemCode[]

/** What one person may see is not for shared caches. */
const privately = { 'cache-control': 'private, no-store' }

type QueryRequest<Params, Query> = Incoming<
  AnnalsApi['principal'],
  Params,
  Query,
  z.output<typeof ConsistencyHeaders>,
  undefined
>
type Out<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined

/**
 * A route that reads: it waits for what the consistency token names in the read models that it reads, then answers.
 * `reads`: the read models that the answer comes from.
 */
export function defineQuery<
  Schema extends z.ZodType,
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
>(query: {
  operationId: string
  path: string
  aliases?: Route<QueryDeps>['aliases']
  summary: string
  tag: string
  permission: Exclude<AnnalsApi['permission'], 'public'>
  params?: Params
  query?: Query
  response: Schema
  problems: readonly ProblemCode[]
  reads: readonly Projection[]
  answer(
    request: Pick<QueryRequest<Out<Params>, Out<Query>>, 'principal' | 'params' | 'query'>,
    deps: { models: ReadModels; now: Date },
  ): Promise<z.input<Schema>>
}): Route<QueryDeps, AnnalsApi> & { readonly reads: readonly Projection[] } {
  const { response, reads, answer, problems, params, query: filters, ...facts } = query
  const route = defineRoute({
    ...facts,
    method: 'GET',
    rateLimit: 'queries',
    ...(params ? { params } : {}),
    ...(filters ? { query: filters } : {}),
    headers: ConsistencyHeaders,
    response: { status: 200, schema: response },
    problems: [...problems, ...readProblems],
    async handle(request, { models, consistency, now }) {
      const token = request.headers['consistency-token']
      if (token !== undefined) await consistency.reach(token, reads, request.principal.userId)
      // Params and query are those of the schemas above, which the compiler does not see through two generic calls.
      const body = await answer(request as never, { models, now: now() })
      return { body, headers: privately } as Answer<Schema>
    },
  })
  return { ...route, reads }
}

/**
 * A route that reads much: lines one by one, as fast as the client takes them. No consistency token is waited for.
 * @param query.line schema of one line.
 */
export function defineExport<Line extends z.ZodObject, Query extends z.ZodObject>(query: {
  operationId: string
  path: string
  summary: string
  tag: string
  permission: Exclude<AnnalsApi['permission'], 'public'>
  query: Query
  line: Line
  /** Forms beside lines of JSON. */
  alternatives: readonly 'csv'[]
  reads: readonly Projection[]
  answer(request: { query: z.output<Query>; signal: AbortSignal }, models: ReadModels): Answer<Line, 'ndjson'>
}): Route<QueryDeps, AnnalsApi> & { readonly reads: readonly Projection[] } {
  const { line, alternatives, answer, reads, ...facts } = query
  const route = defineRoute({
    ...facts,
    method: 'GET',
    rateLimit: 'queries',
    response: { status: 200, schema: line, form: 'ndjson', alternatives },
    problems: ['read-model-rebuilding'],
    async handle(request, { models }) {
      const { headers, ...content } = answer(request as never, models)
      return { ...content, headers: { ...privately, ...headers } } as Answer<Line, 'ndjson'>
    },
  })
  return { ...route, reads }
}
