import type { Logger } from 'pino'
import { clockToleranceSeconds } from '../access-tokens'
import type { Redis } from '../redis'

/**
 * What Redis knows of a session. `unknown`: it does not answer, or it has not yet been made to know all sessions that ended
 * within the life of a token; whoever asks has to look where the facts are.
 */
export type RevocationAnswer = 'ended' | 'not-ended' | 'unknown'

/** Marks of ended sessions in Redis, for as long as access tokens of theirs are still within their time. */
export interface RevocationMarks {
  /** Never throws. */
  ask(sessionId: string): Promise<RevocationAnswer>
  /** Marks a session as ended for `forMs`. @throws when Redis does not take it. */
  add(sessionId: string, forMs: number): Promise<void>
  /**
   * Makes Redis know every session that ended within the life of a token. Called by whoever can read the facts, when an answer
   * was `unknown`. One call at a time; a call while Redis is complete does nothing.
   * @param endedSince the sessions that ended at or after a time (epoch ms), and when; `undefined`: they are too many to read.
   *   Redis is then complete when its memory is as old as a token can be.
   * @throws what `endedSince` and Redis throw: nothing is claimed then.
   */
  complete(
    endedSince: (since: number) => Promise<readonly { sessionId: string; endedAt: number }[] | undefined>,
  ): Promise<void>
  close(): void
}

export interface RevocationMarksOptions {
  redis: Redis
  log: Logger
  /** How long a mark has to last, in ms: life of an access token, tolerance of clocks, and a margin. */
  markMs: number
  /** Redis was asked and did not answer. */
  onSkipped: () => void
}

/**
 * How long the end of a session has to be remembered: for the life of its last access token, as clocks may differ, and a minute
 * more.
 * @param accessTokenSeconds life of a token. @returns ms
 */
export const revocationMarkMs = (accessTokenSeconds: number): number =>
  (accessTokenSeconds + clockToleranceSeconds + 60) * 1_000

const markOf = (sessionId: string) => `revoked:${sessionId}`

/**
 * Says that the marks are complete, and whose memory that was said of: `<run id of the server> <since, epoch ms>`. A server that
 * was emptied has no such key; one that was started again, or another one after a failover, has another run id.
 */
const memoryKey = 'revoked:memory'
/** Held while marks are being completed; what empties the server meanwhile takes it away as well. */
const workKey = (nonce: string) => `revoked:completing:${nonce}`
/** Reading the facts takes seconds; whoever takes longer begins anew. */
const workMsMax = 60_000
/** Marks written in one round trip. */
const marksAtOnce = 1_000

function* inPortions<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size)
}

export function createRevocationMarks({ redis, log, markMs, onSkipped }: RevocationMarksOptions): RevocationMarks {
  /** Of the server at the other end of the present connection; `undefined` until it has told. */
  let runId: string | undefined
  const learnRunId = async () => {
    runId = undefined
    try {
      runId = /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1]
    } catch {
      onSkipped()
    }
  }
  const onReady = () => void learnRunId()
  redis.on('ready', onReady)
  const onClose = () => (runId = undefined)
  redis.on('close', onClose)
  if (redis.status === 'ready') onReady()

  /** Epoch ms from which on the server has been told of every end; `undefined`: nothing was said of this server's memory. */
  const toldSince = (memory: string | null | undefined): number | undefined => {
    const [ofRun, since] = (memory ?? '').split(' ')
    return runId !== undefined && ofRun === runId ? Number(since) : undefined
  }
  const isComplete = (memory: string | null | undefined): boolean => {
    const since = toldSince(memory)
    return since !== undefined && Date.now() - since >= markMs
  }

  /** Sessions asked after since the last turn of the event loop: one question to Redis answers all of them. */
  let asked: { sessionIds: Set<string>; answer: Promise<(sessionId: string) => RevocationAnswer> } | undefined

  function askTogether(sessionId: string): Promise<(sessionId: string) => RevocationAnswer> {
    if (!asked) {
      const sessionIds = new Set<string>()
      const answer = new Promise((resolve) => setImmediate(resolve)).then(async () => {
        asked = undefined
        const ids = [...sessionIds]
        const [memory, ...marks] = await redis.mget([memoryKey, ...ids.map(markOf)])
        const ended = new Set(ids.filter((_, i) => marks[i] !== null))
        const otherwise: RevocationAnswer = isComplete(memory) ? 'not-ended' : 'unknown'
        return (id: string): RevocationAnswer => (ended.has(id) ? 'ended' : otherwise)
      })
      asked = { sessionIds, answer }
    }
    asked.sessionIds.add(sessionId)
    return asked.answer
  }

  let completing: Promise<void> | undefined

  async function fill(endedSince: Parameters<RevocationMarks['complete']>[0]): Promise<void> {
    if (runId === undefined) await learnRunId()
    const ofRun = runId
    // A memory that is not yet old enough gets older by itself.
    if (ofRun === undefined || toldSince(await redis.get(memoryKey)) !== undefined) return
    const work = workKey(`${process.pid}-${Math.random().toString(36).slice(2)}`)
    await redis.set(work, '1', 'PX', workMsMax)
    const begun = Date.now()
    const ended = await endedSince(begun - markMs)
    for (const some of inPortions(ended ?? [], marksAtOnce)) {
      const pipeline = redis.pipeline()
      for (const { sessionId, endedAt } of some) {
        const left = Math.ceil(endedAt + markMs - Date.now())
        if (left > 0) pipeline.set(markOf(sessionId), '1', 'PX', left)
      }
      for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
    }
    // Emptied meanwhile, the server has lost marks that were just written, and this key with them.
    const memory = `${ofRun} ${ended ? 0 : begun}`
    const script = `if redis.call('exists', KEYS[1]) == 1 then redis.call('set', KEYS[2], ARGV[1]); redis.call('del', KEYS[1]); return 1 end return 0`
    if ((await redis.eval(script, 2, work, memoryKey, memory)) !== 1) return
    log.info(
      { marks: ended?.length },
      ended ? 'Redis knows all sessions that have ended' : 'Redis knows the sessions that end from now on',
    )
  }

  return {
    async ask(sessionId) {
      try {
        return (await askTogether(sessionId))(sessionId)
      } catch {
        onSkipped()
        return 'unknown'
      }
    },

    async add(sessionId, forMs) {
      const px = Math.ceil(forMs)
      if (px > 0) await redis.set(markOf(sessionId), '1', 'PX', px)
    },

    complete: (endedSince) => (completing ??= fill(endedSince).finally(() => (completing = undefined))),

    close() {
      redis.off('ready', onReady)
      redis.off('close', onClose)
    },
  }
}
