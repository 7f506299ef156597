import { NotificationStatsQuery, NotificationStatsResponse, type RouteDescription } from '@annals/contracts'

/** What the notifier answers to, beside health, readiness and metrics; the OpenAPI document is made from it. */
export const notifierRoutes = {
  stats: {
    method: 'GET',
    path: '/api/v1/notifications/stats',
    summary: 'What was recorded to be sent, counted by rule, channel and state',
    tag: 'notifications',
    auth: 'admin',
    query: NotificationStatsQuery,
    response: { status: 200, schema: NotificationStatsResponse },
    problems: ['invalid-request', 'unauthenticated', 'forbidden', 'internal-error', 'dependency-unavailable'],
  },
} as const satisfies Record<string, RouteDescription>
