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
  /**
   * Asks Redis, and the log where Redis does not know. A session that the log has as active is not looked up again while Redis
   * keeps the memory it had before that look: an end since then has left a mark.
   * @param endedInLog reads the session's own events: a read model that lags would be believed for minutes.
   * @throws what `endedInLog` throws.
   */
  hasEnded(sessionId: string, endedInLog: () => Promise<boolean>): Promise<boolean>
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
 * Says that the marks are complete, and whose memory that was said of: `<run id of the server> <since, epoch ms> <nonce>`.
 * A server that was emptied has no such key; one that was started again, or another one after a failover, has another run id.
 */
const memoryKey = 'revoked:memory'
/** Held while marks are being completed; what empties the server meanwhile takes it away as well. */
const workKey = (nonce: string) => `revoked:completing:${nonce}`
/** Reading the facts takes seconds; whoever takes longer begins anew. */
const workMsMax = 60_000
/** Sessions that were found active in the log; some 20 MB. One that is forgotten is looked up again. */
const foundActiveMax = 100_000
/** Marks written in one round trip. */
const marksAtOnce = 1_000

function* inPortions<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size)
}

interface Answers {
  /** The value of `memoryKey` at the time of the answers. */
  memory: string | null | undefined
  of(sessionId: string): RevocationAnswer
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
  let asked: { sessionIds: Set<string>; answer: Promise<Answers | undefined> } | undefined

  async function askFor(sessionIds: Iterable<string>): Promise<Answers | undefined> {
    const ids = [...sessionIds]
    try {
      const [memory, ...marks] = await redis.mget([memoryKey, ...ids.map(markOf)])
      const ended = new Set(ids.filter((_, i) => marks[i] !== null))
      const otherwise: RevocationAnswer = isComplete(memory) ? 'not-ended' : 'unknown'
      return { memory, of: (id) => (ended.has(id) ? 'ended' : otherwise) }
    } catch {
      return undefined
    }
  }

  /** @returns `undefined`: Redis did not answer. */
  function askTogether(sessionId: string): Promise<Answers | undefined> {
    if (!asked) {
      const sessionIds = new Set<string>()
      const answer = new Promise<Answers | undefined>((resolve) => {
        setImmediate(() => {
          asked = undefined
          resolve(askFor(sessionIds))
        })
      })
      asked = { sessionIds, answer }
    }
    asked.sessionIds.add(sessionId)
    return asked.answer
  }

  const skipped = (): Answers => {
    onSkipped()
    return { memory: undefined, of: () => 'unknown' }
  }

  /** By session: the memory of Redis beside which the log had it as active. The oldest finding stands first. */
  const foundActive = new Map<string, string>()

  function rememberActive(sessionId: string, memory: string): void {
    foundActive.delete(sessionId)
    if (foundActive.size >= foundActiveMax) foundActive.delete(foundActive.keys().next().value!)
    foundActive.set(sessionId, memory)
  }

  let completing: Promise<void> | undefined

  async function fill(endedSince: Parameters<RevocationMarks['complete']>[0]): Promise<void> {
    if (runId === undefined) await learnRunId()
    const ofRun = runId
    // A memory that is not yet old enough gets older by itself.
    if (ofRun === undefined || toldSince(await redis.get(memoryKey)) !== undefined) return
    const nonce = `${process.pid}-${Math.random().toString(36).slice(2)}`
    const work = workKey(nonce)
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
    const memory = `${ofRun} ${ended ? 0 : begun} ${nonce}`
    const script = `if redis.call('exists', KEYS[1]) == 1 then redis.call('set', KEYS[2], ARGV[1]); redis.call('del', KEYS[1]); return 1 end return 0`
    if ((await redis.eval(script, 2, work, memoryKey, memory)) !== 1) return
    log.info(
      { marks: ended?.length },
      ended ? 'Redis knows all sessions that have ended' : 'Redis knows the sessions that end from now on',
    )
  }

  return {
    async ask(sessionId) {
      const { of } = (await askTogether(sessionId)) ?? skipped()
      return of(sessionId)
    },

    async hasEnded(sessionId, endedInLog) {
      const { memory, of } = (await askTogether(sessionId)) ?? skipped()
      const answer = of(sessionId)
      if (answer !== 'unknown') return answer === 'ended'
      // Redis has heard of every end since this memory began, and the log was read later than that.
      const hearsOfEnds = memory && toldSince(memory) !== undefined
      if (hearsOfEnds && foundActive.get(sessionId) === memory) return false
      const ended = await endedInLog()
      if (hearsOfEnds && !ended) rememberActive(sessionId, memory)
      return ended
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
