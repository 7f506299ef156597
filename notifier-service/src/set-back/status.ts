import type { Pool } from '@annals/platform/postgres'
import { countUnread } from '../deliveries/unread'
import { setBackWords } from './deliveries-watch'
import type { PlacedWitness } from './witness'

export interface Status {
  /** Why nothing is read or sent; `undefined`: the deliveries are not held. */
  deliveriesHeld: string | undefined
  /** Why nothing is read; `undefined`: the log is not refused. */
  logRefused: string | undefined
  /** Events of types that no release here knew yet. */
  unread: { type: string; count: number }[]
  /** What people decided, newest first. */
  actions: { at: string; who: string; action: string; why: string }[]
}

const actionsMax = 20

export async function statusOf(pool: Pool): Promise<Status> {
  const held = await pool.query<{ witnesses: PlacedWitness[] }>('select witnesses from deliveries_hold')
  const refused = await pool.query<{ refusal: string | null }>('select refusal from log_state')
  const actions = await pool.query<Status['actions'][number]>(
    'select at, who, action, why from operator_action order by id desc limit $1',
    [actionsMax],
  )
  return {
    deliveriesHeld: held.rows[0] && setBackWords(held.rows[0].witnesses),
    logRefused: refused.rows[0]?.refusal ?? undefined,
    unread: await countUnread(pool),
    actions: actions.rows,
  }
}
