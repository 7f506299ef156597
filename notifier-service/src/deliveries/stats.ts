import type { Pool } from '@annals/platform/postgres'

/** So many deliveries of one rule, by one channel, stand in one state. */
export interface DeliveryCount {
  rule: string
  channel: string
  state: string
  count: number
}

/** @param from recorded at or after, @param before recorded before; ISO 8601. In order of rule, channel, state. */
export async function countDeliveries(pool: Pool, from: string, before: string): Promise<DeliveryCount[]> {
  const { rows } = await pool.query<DeliveryCount>(
    `select rule, channel, state, count(*)::integer as count from delivery
     where recorded_at >= $1 and recorded_at < $2 group by rule, channel, state order by rule, channel, state`,
    [from, before],
  )
  return rows
}

export interface OpenDeliveries {
  channel: string
  state: string
  count: number
  oldestSeconds: number
}

/** What has not ended; read from partial indexes, so that it stays cheap however many deliveries there are. */
export async function openDeliveries(pool: Pool): Promise<OpenDeliveries[]> {
  const { rows } = await pool.query<OpenDeliveries>(
    `select channel, state, count(*)::integer as count,
       extract(epoch from now() - min(recorded_at))::double precision as "oldestSeconds"
     from delivery where state in ('awaiting-recipient', 'pending', 'sending', 'unknown') group by channel, state`,
  )
  return rows
}
