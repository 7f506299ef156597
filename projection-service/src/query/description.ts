import { z } from 'zod'
import type { RouteDescription } from '@annals/contracts'
import { commonProblems } from './route'
import { queryRoutes } from './routes'

const headers = z.object({
  'consistency-token': z
    .string()
    .optional()
    .describe("From a command's answer: this answer is at least as new, or a problem after a bounded wait"),
})

/** The query API as the OpenAPI document tells it. */
export const queryRouteDescriptions: readonly RouteDescription[] = queryRoutes.map((route) => ({
  method: route.method,
  path: route.path,
  summary: route.summary,
  tag: route.path.split('/')[3] ?? 'query',
  auth: route.access === 'admin' ? 'admin' : 'user',
  ...(route.params ? { params: route.params } : {}),
  ...(route.query ? { query: route.query } : {}),
  headers,
  response: { status: 200, schema: route.response },
  problems: [...commonProblems, ...(route.access === 'admin' ? (['forbidden'] as const) : []), ...route.problems],
}))
