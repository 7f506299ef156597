import type { EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import { createLogWatch, type LogWatch } from '@annals/platform/log-watch'
import type { Pool } from '@annals/platform/postgres'
import { furthestRead } from '../deliveries/progress'

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

export interface LogWatchDeps {
  pool: Pool
  eventLog: Pick<EventLog, 'identity' | 'eventAt'>
  log: Logger
}

/** Watches whether the log is still the one that was read. */
export const watchLog = ({ pool, eventLog, log }: LogWatchDeps): LogWatch =>
  createLogWatch({ pool, eventLog, log, table: 'log_state', furthest: () => furthestRead(pool), refusalWords })

/** For readiness. @throws Error while the log is refused. */
export async function requireLog(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ refusal: string | null }>('select refusal from log_state')
  if (rows[0]?.refusal) throw new Error(rows[0].refusal)
}
