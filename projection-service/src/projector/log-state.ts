import type { EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import { createLogWatch, type LogWatch } from '@annals/platform/log-watch'
import type { Pool } from '@annals/platform/postgres'
import { furthestEventIn } from '../engine/tables/checkpoint-table'
import { tablesOf } from '../engine/tables/generation'
import { logStateTable } from '../engine/tables/log-state-table'
import type { Projection } from '../engine/definition/projection'

const refusalWords = (finding: string): string =>
  [
    `The event log is not the one that the read models were made from: ${finding}. It was restored from an older copy or made new, ` +
      'or EVENTSTORE_URL names another one. Nothing more is applied. Choose:',
    '  1. If the address is wrong, correct EVENTSTORE_URL and restart the projector.',
    '  2. Restore the newer log. The projector then continues by itself, and nothing is lost.',
    '  3. Take the log as it is. What it lacks is lost for ever, although it was acknowledged. If the relay refuses the log as well, tell',
    '     the relay first (its message says how). Then rebuild every read model from the log. The projector then continues by itself:',
    '       npm run replay -- --all --accept-log',
    'In an image without npm, use `node projection-service/dist/replay/main.js` instead of `npm run replay --`.',
  ].join('\n')

/** Watches whether the log is still the one that these read models were made from. They have to be installed. */
export const watchLog = (
  projections: readonly Projection[],
  { pool, eventLog, log }: { pool: Pool; eventLog: Pick<EventLog, 'identity' | 'eventAt'>; log: Logger },
): LogWatch =>
  createLogWatch({
    pool,
    eventLog,
    log,
    table: logStateTable,
    furthest: () =>
      furthestEventIn(
        pool,
        projections.map((projection) => tablesOf(projection, 'live').checkpoint),
      ),
    refusalWords,
  })
