import { NotificationStatsQuery, problems, problemType, type ProblemCode } from '@annals/contracts'
import { createApi, type Readiness } from '@annals/platform/http'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import type { z } from 'zod'
import { countDeliveries } from '../ledger/stats'
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
  return { before: end, from: from ?? new Date(Date.parse(end) - spanDaysStandard * dayMs).toISOString() }
})
  .refine(({ from, before }) => Date.parse(from) < Date.parse(before), 'from must lie before before')
  .refine(
    ({ from, before }) => Date.parse(before) - Date.parse(from) <= spanDaysMax * dayMs,
    `must not span more than ${spanDaysMax} days`,
  )

/** `GET /api/v1/notifications/stats` for administrators, beside health, readiness and metrics. Does not listen. */
export function buildApp({ pool, requireAdmin, readiness, registry, log }: AppDeps) {
  const app = createApi({
    log,
    metrics: registry,
    readiness,
    problems,
    problemType: (code) => problemType(code as ProblemCode),
    toProblem: () => undefined,
  })
  app.get(notifierRoutes.stats.path, { schema: { querystring: StatsQuery } }, async ({ headers, query }) => {
    await requireAdmin(headers.authorization)
    const { from, before } = query as z.infer<typeof StatsQuery>
    return { from, before, items: await countDeliveries(pool, from, before) }
  })
  return app
}
