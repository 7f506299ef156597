import { notBeforeFirst, NotificationStatsQuery, problems, problemType, type ProblemCode } from '@annals/contracts'
import { createApi, HttpProblem, type Readiness } from '@annals/platform/api'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import { isDataException, isTransientPostgresError, type Pool } from '@annals/platform/postgres'
import type { z } from 'zod'
import { countDeliveries } from '../deliveries/stats'
import type { RequireAdmin } from './access'
import { notifierRoutes } from './routes'

export interface AppDeps {
  pool: Pool
  requireAdmin: RequireAdmin
  readiness: Readiness
  registry: Registry
  log: Logger
}

const dayMs = 86_400_000
/** Counting reads every delivery of the time that is asked for. */
const spanDaysMax = 366
const spanDaysStandard = 30

const StatsQuery = NotificationStatsQuery.transform(({ from, before }) => {
  // A minute ahead: what is recorded while this is asked counts.
  const end = before ?? new Date(Date.now() + 60_000).toISOString()
  return { before: end, from: from ?? notBeforeFirst(Date.parse(end) - spanDaysStandard * dayMs) }
})
  .refine(({ from, before }) => Date.parse(from) < Date.parse(before), 'from must lie before before')
  .refine(
    ({ from, before }) => Date.parse(before) - Date.parse(from) <= spanDaysMax * dayMs,
    `must not span more than ${spanDaysMax} days`,
  )

function toProblem(error: unknown): HttpProblem | undefined {
  if (isTransientPostgresError(error))
    return new HttpProblem('dependency-unavailable', { headers: { 'retry-after': '2' }, cause: error })
  // All values of the statement come from the request.
  if (isDataException(error))
    return new HttpProblem('invalid-request', { detail: 'A value of the request can not be looked for.', cause: error })
  return undefined
}

/** `GET /api/v1/notifications/stats` for administrators, beside health, readiness and metrics. Does not listen. */
export function buildApp({ pool, requireAdmin, readiness, registry, log }: AppDeps) {
  const app = createApi({
    log,
    metrics: registry,
    readiness,
    problems,
    problemType: (code) => problemType(code as ProblemCode),
    toProblem,
  })
  app.get(notifierRoutes.stats.path, { schema: { querystring: StatsQuery } }, async ({ headers, query }) => {
    await requireAdmin(headers.authorization)
    const { from, before } = query as z.infer<typeof StatsQuery>
    return { from, before, items: await countDeliveries(pool, from, before) }
  })
  return app
}
