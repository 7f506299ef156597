import { streamOf, type SessionId } from '@annals/contracts'
import type { Logger } from '@annals/platform/log'
import type { Redis } from '@annals/platform/redis'
import { sessionDecider } from '../domain/session'
import type { Execute } from '../execution/execute'

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
  log: Logger
  /** Life of an access token in seconds: after it nothing needs to be known about a session. */
  lifeSeconds: number
  /** Redis was asked and did not answer. */
  onSkipped: () => void
}

/** Sessions that ended while Redis was away: a minute of many logouts. Beyond it the log is asked only while Redis is away. */
const pendingMax = 10_000
const retryMs = 1_000

/** Redis remembers `revoked:<sessionId>` for the life of an access token; without it the session's own stream answers. */
export function createRevocations({ redis, execute, log, lifeSeconds, onSkipped }: RevocationDeps): Revocations {
  const keyOf = (sessionId: SessionId) => `revoked:${sessionId}`
  /** Epoch ms until which a session that Redis has not taken must be told to it. */
  const pending = new Map<SessionId, number>()

  async function tell(sessionId: SessionId, untilMs: number): Promise<void> {
    const px = Math.ceil(untilMs - Date.now())
    if (px > 0) await redis.set(keyOf(sessionId), '1', 'PX', px)
    pending.delete(sessionId)
  }

  /** Sessions asked after since the last turn of the event loop: one question to Redis answers all of them. */
  let asked: { sessionIds: Set<SessionId>; revoked: Promise<Set<SessionId>> } | undefined

  function revokedAmong(sessionId: SessionId): Promise<Set<SessionId>> {
    if (!asked) {
      const sessionIds = new Set<SessionId>()
      const revoked = new Promise((resolve) => setImmediate(resolve)).then(async () => {
        asked = undefined
        const ids = [...sessionIds]
        const marks = await redis.mget(ids.map(keyOf))
        return new Set(ids.filter((_, i) => marks[i] !== null))
      })
      asked = { sessionIds, revoked }
    }
    asked.sessionIds.add(sessionId)
    return asked.revoked
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
      const untilMs = Date.now() + lifeSeconds * 1000
      if (pending.size < pendingMax) pending.set(sessionId, untilMs)
      await tell(sessionId, untilMs).catch((error: unknown) => {
        onSkipped()
        log.warn({ err: error, sessionId }, 'Redis has not taken a revocation, trying again')
      })
    },

    async has(sessionId) {
      if (pending.has(sessionId)) return true
      try {
        return (await revokedAmong(sessionId)).has(sessionId)
      } catch {
        onSkipped()
        const { state } = await execute.load(sessionDecider, streamOf.session(sessionId))
        return state.status !== 'active'
      }
    },

    close: () => clearInterval(timer),
  }
}
