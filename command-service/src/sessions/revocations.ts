import { streamOf, topics, type SessionId } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import type { Redis } from '@annals/platform/redis'
import { createRevocationMarks } from '@annals/platform/revocation'
import { sessionDecider } from './domain/session'
import type { Execute } from '../core/execute'

/** Which sessions ended while access tokens of theirs are still within their time. */
export interface Revocations {
  /** Never fails: what Redis does not take now is tried again every second, and the log has it anyway. */
  add(sessionId: SessionId): Promise<void>
  /** @throws DependencyUnavailable when neither Redis nor the log answers. */
  has(sessionId: SessionId): Promise<boolean>
  close(): void
}

export interface RevocationDeps {
  redis: Redis
  execute: Execute
  eventLog: Pick<EventLog, 'recent'>
  log: Logger
  /** How long a mark lasts, in ms: after it nothing needs to be known about a session. */
  markMs: number
  /** Redis was asked and did not answer. */
  onSkipped: () => void
}

/** Sessions that ended while Redis was away: a minute of many logouts. Beyond it the log is asked only while Redis is away. */
const pendingMax = 10_000
const retryMs = 1_000
/**
 * Events that are read to tell an emptied Redis which sessions have ended: some seconds of work. Where the life of a token holds
 * more, the log is asked once for each session until Redis' memory is as old as a token can be.
 */
const recentEventsMax = 100_000

/** Redis remembers who has ended for the life of an access token; while it does not, the session's own stream answers. */
export function createRevocations(deps: RevocationDeps): Revocations {
  const { redis, execute, eventLog, log, markMs, onSkipped } = deps
  const marks = createRevocationMarks({ redis, log, markMs, onSkipped })
  /** Epoch ms until which a session that Redis has not taken must be told to it. */
  const pending = new Map<SessionId, number>()

  async function tell(sessionId: SessionId, untilMs: number): Promise<void> {
    await marks.add(sessionId, untilMs - Date.now())
    pending.delete(sessionId)
  }

  async function endedSince(since: number) {
    const prefixes = [`${topics['annals.sessions'].category}-`]
    const recent = await eventLog.recent({ since, prefixes, countMax: recentEventsMax })
    return recent
      ?.filter(({ type }) => type === 'session.ended')
      .map(({ stream, createdAt }) => ({ sessionId: stream.slice(prefixes[0]!.length), endedAt: createdAt }))
  }

  const timer = setInterval(async () => {
    try {
      for (const [sessionId, untilMs] of pending) await tell(sessionId, untilMs)
    } catch {
      onSkipped()
    }
  }, retryMs)
  timer.unref()

  return {
    async add(sessionId) {
      const untilMs = Date.now() + markMs
      if (pending.size < pendingMax) pending.set(sessionId, untilMs)
      await tell(sessionId, untilMs).catch((error: unknown) => {
        onSkipped()
        log.warn({ err: error, sessionId }, 'Redis has not taken a revocation, trying again')
      })
    },

    has(sessionId) {
      if (pending.has(sessionId)) return Promise.resolve(true)
      return marks.hasEnded(sessionId, async () => {
        // Beside this request, which the log answers: Redis may have been emptied.
        marks.complete(endedSince).catch((error: unknown) => log.debug({ err: error }, 'Redis stays incomplete'))
        const { state } = await execute.load(sessionDecider, streamOf.session(sessionId))
        return state.status !== 'active'
      })
    },

    close() {
      clearInterval(timer)
      marks.close()
    },
  }
}
