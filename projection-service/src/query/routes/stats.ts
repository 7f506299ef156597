import {
  formatMoney,
  notBeforeFirst,
  PaymentStatsQuery,
  PaymentStatsResponse,
  type CurrencyCode,
} from '@annals/contracts'
import { HttpProblem } from '@annals/platform/api'
import { paymentTotals } from '../../projections'
import { freshRead } from '../fresh-read'
import { defineQuery } from '../route'

const dayMs = 24 * 60 * 60 * 1000
/** A year of days in every currency is 16,000 lines: as much as one answer should hold. */
const daysMax = 366
/** When no first day is named. */
const daysDefault = 31

interface TotalsRow {
  day: string
  currency: CurrencyCode
  created_count: string
  created_minor: string
  completed_count: string
  completed_minor: string
  failed_count: string
  failed_minor: string
}

const isoDay = (ms: number) => notBeforeFirst(ms).slice(0, 10)

/** @throws HttpProblem when the days are in the wrong order or too many. */
function period(
  given: { from?: string | undefined; to?: string | undefined },
  now: Date,
): { from: string; to: string } {
  const to = given.to ?? isoDay(now.getTime())
  const from = given.from ?? isoDay(Date.parse(to) - (daysDefault - 1) * dayMs)
  const days = (Date.parse(to) - Date.parse(from)) / dayMs + 1
  if (days >= 1 && days <= daysMax) return { from, to }
  const message = days < 1 ? 'must not be after "to"' : `must be at most ${daysMax} days before "to"`
  throw new HttpProblem('invalid-request', { errors: [{ pointer: '/querystring/from', message }] })
}

const getPaymentStats = defineQuery({
  operationId: 'getPaymentStats',
  path: '/api/v1/stats/payments',
  summary: 'Payments per day (UTC) and currency, newest day first; without "from", the 31 days until "to" or today',
  permission: 'statistics.read',
  tag: 'stats',
  query: PaymentStatsQuery,
  response: PaymentStatsResponse,
  problems: [],
  reads: [paymentTotals],
  async answer({ query }, { models, now }) {
    const { from, to } = period(query, now)
    const { rows, freshness } = await freshRead<TotalsRow>(models, {
      projection: paymentTotals,
      sql: `select day, currency,
          sum(created_count) as created_count, sum(created_minor) as created_minor,
          sum(completed_count) as completed_count, sum(completed_minor) as completed_minor,
          sum(failed_count) as failed_count, sum(failed_minor) as failed_minor
        from ${models.tables(paymentTotals).rows}
        where day between $1::date and $2::date and ($3::text is null or currency = $3)
        group by day, currency`,
      parameters: [from, to, query.currency ?? null],
      orderBy: 'day desc, currency',
    })
    const money = (minor: string, currency: CurrencyCode) => formatMoney({ minor: BigInt(minor), currency })
    const items = rows.map((row) => ({
      day: row.day,
      currency: row.currency,
      createdCount: Number(row.created_count),
      createdAmount: money(row.created_minor, row.currency),
      completedCount: Number(row.completed_count),
      completedAmount: money(row.completed_minor, row.currency),
      failedCount: Number(row.failed_count),
      failedAmount: money(row.failed_minor, row.currency),
    }))
    return { items, freshness }
  },
})

export const statsRoutes = [getPaymentStats]
