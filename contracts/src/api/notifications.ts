import { z } from 'zod'
import { DateTime } from '../time'

export const NotificationStatsQuery = z.strictObject({
  from: DateTime.optional().describe('Recorded at or after; 30 days before `before` when it is not given'),
  before: DateTime.optional().describe('Recorded before; now when it is not given'),
})

export const NotificationStatsResponse = z.object({
  from: z.iso.datetime(),
  before: z.iso.datetime(),
  /** So many deliveries of one rule, by one channel, stand in one state. */
  items: z.array(z.object({ rule: z.string(), channel: z.string(), state: z.string(), count: z.int() })),
})
