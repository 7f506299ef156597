import { pause } from '../backoff'
import type { EventLog } from '../event-log'
import type { Logger } from '../log'
import type { Pool } from '../postgres'

/** An event that was read, and where. */
export interface LogMark {
  position: bigint
  eventId: string
}

export interface LogWatchOptions {
  pool: Pool
  eventLog: Pick<EventLog, 'identity' | 'eventAt'>
  log: Logger
  /**
   * Schema-qualified table of one row: `one`, `identity`, `position`, `event_id`, `checked_at`, `refusal`. It outlives processes, and
   * tells others what was found.
   */
  table: string
  /** The furthest event that was applied; `undefined`: none, or a former release applied it and did not keep which. */
  furthest: () => Promise<LogMark | undefined>
  /** Words for people, with what they can do. @param finding how the log differs. */
  refusalWords: (finding: string) => string
}

/** Compares the log with what was read of it, again and again: it may be restored from an older copy, or be another one. */
export interface LogWatch {
  /**
   * Compares for the first time, and from then on by itself. Ends within some seconds also when the log does not answer: then what was
   * found before holds, and it is compared as soon as it does.
   */
  start(): Promise<void>
  /** Compares now. @throws Error when the log or the database does not answer. */
  compare(): Promise<void>
  /** Why the log is refused, as it was found last; `undefined`: it is not. */
  refusal(): string | undefined
  stop(): Promise<void>
}

const compareEveryMs = 30_000
/** An operator's choice is seen soon; and a log that was away is compared before much is read of it. */
const soonMs = 2_000
/** How long a start waits for the first comparison. */
const firstMsMax = 5_000

interface State {
  identity: string | null
  position: bigint | null
  event_id: string | null
  refusal: string | null
}

export function createLogWatch(options: LogWatchOptions): LogWatch {
  const { pool, eventLog, log, table, furthest, refusalWords } = options
  const ending = new AbortController()
  let refusal: string | undefined
  /** The refusal that this process has spoken of. */
  let said: string | undefined
  let running: Promise<void> | undefined

  async function known(): Promise<State | undefined> {
    const { rows } = await pool.query<State>(`select identity, position, event_id, refusal from ${table}`)
    return rows[0]
  }

  /** @returns how the log differs; `undefined`: it does not. */
  async function findingOf(was: string | null, is: string | null, marks: readonly LogMark[]) {
    if (was !== null && is !== was)
      return is === null
        ? `it is empty, and began with event ${was}`
        : `it begins with event ${is}, and began with event ${was}`
    for (const { position, eventId } of marks) {
      const event = await eventLog.eventAt(position)
      if (event?.id !== eventId)
        return `at position ${position} it held event ${eventId}, and ${event ? `now holds event ${event.id}` : 'now holds none'}`
    }
    return undefined
  }

  async function compare(): Promise<void> {
    const state = await known()
    // Also while the log does not answer.
    refusal = state?.refusal ?? undefined
    const last = await furthest()
    const marks = last ? [last] : []
    // What was equal before, too: what was read since may be of the log as it is now.
    if (state?.position != null && state.event_id !== null && state.position !== last?.position)
      marks.push({ position: state.position, eventId: state.event_id })
    const identity = (await eventLog.identity()) ?? null
    const finding = await findingOf(state?.identity ?? null, identity, marks)
    if (finding === undefined) await agree(state, identity, last)
    else await refuse(state, refusalWords(finding))
  }

  /** Each is written only where nobody, an operator for one, has written since it was read. */
  const unchanged = (first: number) =>
    `${table}.identity is not distinct from $${first} and ${table}.position is not distinct from $${first + 1}`

  async function refuse(state: State | undefined, words: string): Promise<void> {
    const { rowCount } = await pool.query(
      `insert into ${table} (identity, position, event_id, refusal) values ($1, $2, $3, $4)
       on conflict (one) do update set refusal = excluded.refusal, checked_at = now() where ${unchanged(1)}`,
      [state?.identity ?? null, state?.position ?? null, state?.event_id ?? null, words],
    )
    if (rowCount !== 1) return
    refusal = words
    // Each process says so once, also where another has found it.
    if (said !== words) log.fatal(words)
    said = words
  }

  async function agree(state: State | undefined, identity: string | null, last: LogMark | undefined): Promise<void> {
    await pool.query(
      `insert into ${table} (identity, position, event_id) values ($1, $2, $3)
       on conflict (one) do update set refusal = null, checked_at = now(), identity = excluded.identity,
         position = coalesce(excluded.position, ${table}.position),
         event_id = coalesce(excluded.event_id, ${table}.event_id)
       where ${unchanged(4)}`,
      [identity, last?.position ?? null, last?.eventId ?? null, state?.identity ?? null, state?.position ?? null],
    )
    if (refusal !== undefined) log.warn('the event log is the right one again: reading continues')
    refusal = undefined
    said = undefined
  }

  async function run(first: AbortController): Promise<void> {
    for (let said = false; !ending.signal.aborted;) {
      const answered = await compare().then(
        () => true,
        (error: unknown) => {
          if (!said)
            log.warn({ err: error }, 'the event log could not be compared with what was read from it, trying again')
          return false
        },
      )
      said = !answered
      if (answered) first.abort()
      await pause(answered && refusal === undefined ? compareEveryMs : soonMs, ending.signal)
    }
  }

  return {
    async start() {
      const first = new AbortController()
      running ??= run(first)
      await pause(firstMsMax, AbortSignal.any([first.signal, ending.signal]))
    },
    compare,
    refusal: () => refusal,
    async stop() {
      ending.abort()
      await running
    },
  }
}

/**
 * A topic that was made anew under a running consumer may be filled from a log that went back. The log is compared then, not only
 * after 30 s: facts that come later would hide what was lost.
 * @returns to be called with each batch, before it is handled. It throws when the log or the database does not answer.
 */
export function comparesAtNewTopics(logWatch: Pick<LogWatch, 'compare'> | undefined) {
  const known = new Map<string, string>()
  return async ({ topic, topicId }: { topic: string; topicId: string }): Promise<void> => {
    const before = known.get(topic)
    if (before === topicId) return
    if (before !== undefined) await logWatch?.compare()
    known.set(topic, topicId)
  }
}

/**
 * An operator has taken the log as it is: it is the one to be compared with from now on.
 * @param table as of {@link LogWatchOptions}.
 * @param identity of the log; `undefined`: it is empty.
 */
export async function acceptLog(pool: Pool, table: string, identity: string | undefined): Promise<void> {
  await pool.query(
    `insert into ${table} (identity) values ($1)
     on conflict (one) do update set identity = excluded.identity, position = null, event_id = null, refusal = null,
       checked_at = now()`,
    [identity ?? null],
  )
}
