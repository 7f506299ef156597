import type { EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import { createLogWatch, type LogMark, type LogWatch } from '@annals/platform/log-watch'
import type { Pool } from '@annals/platform/postgres'

/** What an operator may do, as complete commands. @param finding how the log differs. */
const refusalWords = (finding: string): string =>
  [
    `The event log is not the one that was read: ${finding}. It was restored from a backup or made new, or EVENTSTORE_URL names another one. ` +
      'Nothing is read. What was recorded before is still sent. Choose:',
    '  1. If the address is wrong, correct EVENTSTORE_URL and restart the notifier.',
    '  2. Restore the newer log. The notifier then continues by itself, and nothing is lost.',
    '  3. Take the log as it is. What it lacks is lost for ever. If the relay refuses the log as well, tell the relay first (its message',
    '     says how). Then tell the notifier. It reads from the beginning, and sends no recorded message again:',
    '       npm run notifier -- accept-log --why "<reason>"',
    'In an image without npm, use `node notifier-service/dist/operator/main.js` instead of `npm run notifier --`.',
  ].join('\n')

/** The furthest event that was read; a partition that a former release has moved does not tell. */
async function furthestOf(pool: Pool): Promise<LogMark | undefined> {
  const { rows } = await pool.query<{ position: bigint; position_event: string }>(
    `select position, position_event from checkpoint
     where judged_offset = next_offset and position_event is not null order by position desc limit 1`,
  )
  return rows[0] && { position: rows[0].position, eventId: rows[0].position_event }
}

export interface LogWatchDeps {
  pool: Pool
  eventLog: Pick<EventLog, 'identity' | 'eventAt'>
  log: Logger
}

/** Watches whether the log is still the one that was read. */
export const watchLog = ({ pool, eventLog, log }: LogWatchDeps): LogWatch =>
  createLogWatch({ pool, eventLog, log, table: 'log_state', furthest: () => furthestOf(pool), refusalWords })

/** For readiness. @throws Error while the log is refused. */
export async function requireLog(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ refusal: string | null }>('select refusal from log_state')
  if (rows[0]?.refusal) throw new Error(rows[0].refusal)
}
