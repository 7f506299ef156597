import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import type { Pool } from '@annals/platform/postgres'

export interface LogWatchDeps {
  pool: Pool
  eventLog: Pick<EventLog, 'identity' | 'eventAt'>
  log: Logger
}

/** The log is compared with what was read of it, again and again. */
export interface LogWatch {
  /** Waits for the first comparison: before it, nothing may be read. @throws Error when there is none within some seconds. */
  compared(): Promise<void>
  /** Compares now. @throws Error when the log or the ledger does not answer. */
  compare(): Promise<void>
  stop(): Promise<void>
}

const compareEveryMs = 30_000
const retryEveryMs = 1_000
/** How long the first comparison is waited for at once. */
const firstMsMax = 5_000

interface Mark {
  position: bigint
  event_id: string
}

interface LogStateRow {
  identity: string | null
  position: bigint | null
  event_id: string | null
  refusal: string | null
}

/** What an operator may do, as complete commands. @param finding how the log differs. */
const refusalWords = (finding: string): string =>
  [
    `The event log is not the one that was read: ${finding}. It was restored from a backup or made anew, or EVENTSTORE_URL names another one. ` +
      'Nothing is read; what was recorded before goes on being sent.',
    '1. Where the address is wrong, put EVENTSTORE_URL right and start the notifier again.',
    '2. Restore a newer backup of the log; the notifier goes on by itself.',
    '3. When the log is to stay as it is, and the relay publishes it, read it from its beginning:',
    '     npm run notifier -- accept-log --why "<reason>"',
    '   No message that was recorded is sent again; what the log has lost stays in the deliveries.',
  ].join('\n')

/** @returns how the log differs from what was read of it; `undefined`: it does not. */
async function findingOf(
  eventLog: LogWatchDeps['eventLog'],
  identity: string | null,
  marks: readonly Mark[],
): Promise<string | undefined> {
  const found = (await eventLog.identity()) ?? null
  if (identity !== null && found !== identity) {
    return found === null
      ? `it is empty, and began with event ${identity}`
      : `it begins with event ${found}, and began with event ${identity}`
  }
  for (const { position, event_id } of marks) {
    const event = await eventLog.eventAt(position)
    if (event?.id === event_id) continue
    return `at position ${position} it held event ${event_id}, and ${event ? `now holds ${event.id}` : 'now holds none'}`
  }
  return undefined
}

/** Notices that the log went back, or is another one, by its first event and by the furthest that was read. */
export function watchLog({ pool, eventLog, log }: LogWatchDeps): LogWatch {
  const ending = new AbortController()
  const first = new AbortController()
  /** The refusal that this process has spoken of. */
  let said: string | undefined

  async function compare(): Promise<void> {
    const state = (await pool.query<LogStateRow>('select identity, position, event_id, refusal from log_state')).rows[0]
    const furthest = (
      await pool.query<Mark>(
        `select position, position_event as event_id from checkpoint
         where judged_offset = next_offset and position_event is not null order by position desc limit 1`,
      )
    ).rows[0]
    const marks: Mark[] = []
    if (furthest) marks.push(furthest)
    // What was equal before, too: what was read since may be of the log as it is now.
    if (state?.position != null && state.event_id !== null && state.position !== furthest?.position)
      marks.push({ position: state.position, event_id: state.event_id })
    const identity = (await eventLog.identity()) ?? null
    const finding = await findingOf(eventLog, state?.identity ?? null, marks)
    await record(state, finding, identity, furthest)
    first.abort()
  }

  async function record(
    state: LogStateRow | undefined,
    finding: string | undefined,
    identity: string | null,
    furthest: Mark | undefined,
  ): Promise<void> {
    if (finding !== undefined) {
      const refusal = refusalWords(finding)
      // Only what was compared: an operator may have accepted the log meanwhile.
      await pool.query(
        `insert into log_state (identity, position, event_id, refusal) values ($2, $3, $4, $1)
         on conflict (one) do update set refusal = excluded.refusal, checked_at = now()
         where log_state.identity is not distinct from $2 and log_state.position is not distinct from $3`,
        [refusal, state?.identity ?? null, state?.position ?? null, state?.event_id ?? null],
      )
      if (said !== refusal) log.fatal(refusal)
      said = refusal
      return
    }
    await pool.query(
      `insert into log_state (identity, position, event_id) values ($1, $2, $3)
       on conflict (one) do update set refusal = null, checked_at = now(), identity = excluded.identity,
         position = coalesce(excluded.position, log_state.position), event_id = coalesce(excluded.event_id, log_state.event_id)
       where log_state.identity is not distinct from $4 and log_state.position is not distinct from $5`,
      [
        identity,
        furthest?.position ?? null,
        furthest?.event_id ?? null,
        state?.identity ?? null,
        state?.position ?? null,
      ],
    )
    said = undefined
    if (state?.refusal) log.warn('the event log is the one that was read, again: reading goes on')
  }

  const running = (async () => {
    while (!ending.signal.aborted) {
      try {
        await compare()
      } catch (error) {
        log.warn({ err: error }, 'the event log could not be compared with what was read of it')
      }
      await pause(first.signal.aborted ? compareEveryMs : retryEveryMs, ending.signal)
    }
  })()

  return {
    async compared() {
      await pause(firstMsMax, AbortSignal.any([first.signal, ending.signal]))
      if (!first.signal.aborted) throw new Error('the event log does not answer, and nothing is read before that')
    },
    compare,
    async stop() {
      ending.abort()
      await running
    },
  }
}

/** For readiness. @throws Error while the log is refused. */
export async function requireLog(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ refusal: string | null }>('select refusal from log_state')
  if (rows[0]?.refusal) throw new Error(rows[0].refusal)
}
