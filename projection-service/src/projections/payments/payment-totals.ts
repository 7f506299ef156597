import type { CurrencyCode } from '@annals/contracts'
import { defineProjection } from '../../engine/definition/projection'

interface Totals {
  day: string
  currency: string
  created_count: bigint
  created_minor: bigint
  completed_count: bigint
  completed_minor: bigint
  failed_count: bigint
  failed_minor: bigint
}

/** The day on which a fact happened. An envelope has no other times than those of UTC. */
const dayOf = (at: string) => at.slice(0, 'YYYY-MM-DD'.length)

const plus = (
  row: Totals | undefined,
  what: 'created' | 'completed' | 'failed',
  at: string,
  amount: { minor: number; currency: CurrencyCode },
): Totals => {
  const before = row ?? {
    day: dayOf(at),
    currency: amount.currency,
    created_count: 0n,
    created_minor: 0n,
    completed_count: 0n,
    completed_minor: 0n,
    failed_count: 0n,
    failed_minor: 0n,
  }
  return {
    ...before,
    [`${what}_count`]: before[`${what}_count`] + 1n,
    [`${what}_minor`]: before[`${what}_minor`] + BigInt(amount.minor),
  }
}

/** Payments created, completed and failed, per day of the fact and currency; a reader adds the shards up. */
export const paymentTotals = defineProjection({
  name: 'payment_totals',
  // 2: sums are numeric. As bigint, one person's payments could fill them, and then nobody's fitted.
  version: 2,
  table: 'payment_total',
  grain: 'shard',
  keyColumn: 'bucket',
  keyType: 'text',
  topics: ['annals.payments'],
  columns: {
    day: 'date',
    currency: 'text',
    created_count: 'bigint',
    created_minor: 'numeric',
    completed_count: 'bigint',
    completed_minor: 'numeric',
    failed_count: 'bigint',
    failed_minor: 'numeric',
  },
  indexes: { payment_total_by_day: '(day, currency)' },
  key: ({ at, data }) => `${dayOf(at)}|${data.amount.currency}`,
  on: {
    'payment.created': (row, { at, data }) => plus(row, 'created', at, data.amount),
    'payment.processed': (row, { at, data }) => plus(row, 'completed', at, data.amount),
    'payment.failed': (row, { at, data }) => plus(row, 'failed', at, data.amount),
  },
})
