import type { z } from 'zod'
import { notBeforeFirst, NotificationStatsQuery, NotificationStatsResponse, type AnnalsApi } from '@annals/contracts'
import { HttpProblem, routeDefiner } from '@annals/platform/api'
import type { Pool } from '@annals/platform/postgres'
import { countDeliveries } from '../deliveries/stats'

export interface NotifierRouteDeps {
  pool: Pool
  /** Epoch ms. */
  now: () => number
}

const defineRoute = routeDefiner<AnnalsApi, NotifierRouteDeps>()

const dayMs = 86_400_000
/** Counting reads every delivery of the time that is asked for. */
const spanDaysMax = 366
const spanDaysStandard = 30

/** @throws HttpProblem `invalid-request` when the time asked for is empty or too long. */
function spanOf({ from, before }: z.output<typeof NotificationStatsQuery>, now: number) {
  // A minute ahead: what is recorded while this is asked counts.
  const end = before ?? new Date(now + 60_000).toISOString()
  const start = from ?? notBeforeFirst(Date.parse(end) - spanDaysStandard * dayMs)
  const spanMs = Date.parse(end) - Date.parse(start)
  if (spanMs > 0 && spanMs <= spanDaysMax * dayMs) return { from: start, before: end }
  const message = spanMs <= 0 ? 'must lie before "before"' : `must be at most ${spanDaysMax} days before "before"`
  throw new HttpProblem('invalid-request', { errors: [{ pointer: '/querystring/from', message }] })
}

const notificationStats = defineRoute({
  operationId: 'getNotificationStats',
  method: 'GET',
  path: '/api/v1/notifications/stats',
  summary: 'What was recorded to be sent, counted by rule, channel and state',
  tag: 'notifications',
  permission: 'statistics.read',
  rateLimit: 'queries',
  query: NotificationStatsQuery,
  response: { status: 200, schema: NotificationStatsResponse },
  problems: [],
  async handle({ query }, { pool, now }) {
    const { from, before } = spanOf(query, now())
    return { body: { from, before, items: await countDeliveries(pool, from, before) } }
  },
})

/** What the notifier answers to. */
export const notifierRoutes = [notificationStats]
