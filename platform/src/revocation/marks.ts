import type { Logger } from 'pino'
import { clockToleranceSeconds, type Verdict } from '../access-tokens'
import type { Redis } from '../redis'
import { announceScript, keyOf, revisionOf, said, settleScript, verdictOf, type Mark, type MarkSubject } from './mark'
import type { Bearer } from './standing'

/**
 * What happened within the life of a token, for a Redis that has not been told.
 * @param since epoch ms. @returns `undefined`: too much to read.
 */
export type RecentMarks = (since: number) => Promise<readonly Mark[] | undefined>

/**
 * Marks in Redis of sessions that have ended and of accounts that have changed what they say to tokens, for as long as tokens
 * handed out before are still within their time.
 */
export interface RevocationMarks {
  /**
   * Asks Redis alone, once for all who ask in the same turn of the event loop. Never throws.
   * @returns `unknown`: it does not answer, it has not been told of all changes within the life of a token, or one has begun
   *   and nobody has said how it ended. Whoever asks has to look where the facts are.
   */
  ask(bearer: Bearer): Promise<Verdict | 'unknown'>
  /**
   * Asks Redis, and the facts where Redis does not know. A bearer who was found good there is not looked up again while
   * Redis keeps the memory it had before that look: a change since then has left a mark.
   * @throws what `byFacts` throws.
   */
  verdictOn(bearer: Bearer, byFacts: () => Promise<Verdict>): Promise<Verdict>
  /**
   * Says that a change is about to be recorded: until it is settled, those whom it is about are looked up where the facts are.
   * So a process that is killed between the fact and its mark leaves nobody in.
   * @param change names it. @throws when Redis does not take it.
   */
  announce(subject: MarkSubject, change: string): Promise<void>
  /** Says that a change was recorded (its mark), or that nothing was (its subject). @throws when Redis does not take it. */
  settle(outcome: Mark | MarkSubject, change: string): Promise<void>
  /**
   * Makes Redis know everything within the life of a token. Called by whoever can read the facts, when an answer was `unknown`.
   * One call at a time; a call while Redis is complete does nothing.
   * @param recent Too much to read: Redis is then complete when its memory is as old as a token can be.
   * @throws what `recent` and Redis throw: nothing is claimed then.
   */
  complete(recent: RecentMarks): Promise<void>
  /**
   * As `complete`, but tells a Redis that is complete once more: for a process that was killed before it could, or while Redis did
   * not answer. @throws what `recent` and Redis throw.
   */
  repeat(recent: RecentMarks): Promise<void>
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
 * How long a change has to be remembered: for the life of the last access token before it, as clocks may differ, and a minute
 * more.
 * @param accessTokenSeconds life of a token. @returns ms
 */
export const revocationMarkMs = (accessTokenSeconds: number): number =>
  (accessTokenSeconds + clockToleranceSeconds + 60) * 1_000

/**
 * Says that the marks are complete, and whose memory that was said of: `<run id of the server> <since, epoch ms> <nonce>`.
 * A server that was emptied has no such key; one that was started again, or another one after a failover, has another run id.
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

interface Asked {
  answer: Verdict | 'unknown'
  /** The value of `memoryKey` at the time of the answer; `undefined`: Redis did not answer. */
  memory: string | null | undefined
  /** Redis has said nothing of a change that has begun: what the facts say now holds until there is a mark. */
  isQuiet: boolean
}

const silent: Asked = { answer: 'unknown', memory: undefined, isQuiet: false }

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

  type Answers = Map<Bearer, Asked>
  /** Who is asked after since the last turn of the event loop: one question to Redis answers all of them. */
  let asked: { bearers: Set<Bearer>; answers: Promise<Answers> } | undefined

  async function askFor(bearers: ReadonlySet<Bearer>): Promise<Answers> {
    const all = [...bearers]
    const keys = all.flatMap(({ sessionId, userId }) => [
      keyOf({ about: 'session', id: sessionId }),
      keyOf({ about: 'account', id: userId }),
    ])
    try {
      const [memory, ...marks] = await redis.mget([memoryKey, ...keys])
      const isKnown = isComplete(memory)
      return new Map(
        all.map((bearer, i) => {
          const verdict = verdictOf(bearer, marks[2 * i]!, marks[2 * i + 1]!)
          const answer = verdict === undefined || (verdict === 'good' && !isKnown) ? 'unknown' : verdict
          return [bearer, { answer, memory, isQuiet: verdict !== undefined }]
        }),
      )
    } catch {
      onSkipped()
      return new Map()
    }
  }

  async function askTogether(bearer: Bearer): Promise<Asked> {
    if (!asked) {
      const bearers = new Set<Bearer>()
      const answers = new Promise<Answers>((resolve) => {
        setImmediate(() => {
          asked = undefined
          resolve(askFor(bearers))
        })
      })
      asked = { bearers, answers }
    }
    asked.bearers.add(bearer)
    return (await asked.answers).get(bearer) ?? silent
  }

  /** Beside which memory of Redis a bearer was found good by the facts. Kept no longer than whoever holds the bearer does. */
  const foundGood = new WeakMap<Bearer, string>()

  let completing: Promise<boolean> | undefined

  /** @returns how many there were; `undefined`: too many to read. */
  async function tell(marks: readonly Mark[] | undefined): Promise<number | undefined> {
    for (const some of inPortions(marks ?? [], marksAtOnce)) {
      const pipeline = redis.pipeline()
      for (const mark of some) {
        const lifeMs = Math.ceil(mark.at + markMs - Date.now())
        if (lifeMs > 0) pipeline.eval(settleScript, 1, ...settling(mark, '', lifeMs))
      }
      for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
    }
    return marks?.length
  }

  const settling = (mark: Mark, change: string, lifeMs: number) =>
    [keyOf(mark), change, lifeMs, Date.now(), revisionOf(mark), said(mark)] as const

  /** @returns whether Redis has been told. */
  async function fill(recent: RecentMarks): Promise<boolean> {
    if (runId === undefined) await learnRunId()
    const ofRun = runId
    // A memory that is not yet old enough gets older by itself.
    if (ofRun === undefined || toldSince(await redis.get(memoryKey)) !== undefined) return false
    const nonce = `${process.pid}-${Math.random().toString(36).slice(2)}`
    const work = workKey(nonce)
    await redis.set(work, '1', 'PX', workMsMax)
    const begun = Date.now()
    const told = await tell(await recent(begun - markMs))
    // Emptied meanwhile, the server has lost marks that were just written, and this key with them.
    const memory = `${ofRun} ${told === undefined ? begun : 0} ${nonce}`
    const script = `if redis.call('exists', KEYS[1]) == 1 then redis.call('set', KEYS[2], ARGV[1]); redis.call('del', KEYS[1]); return 1 end return 0`
    if ((await redis.eval(script, 2, work, memoryKey, memory)) !== 1) return false
    log.info(
      { marks: told },
      told === undefined
        ? 'Redis knows what ends or changes from now on'
        : 'Redis knows all sessions and accounts that have ended or changed',
    )
    return true
  }

  const complete = (recent: RecentMarks) => (completing ??= fill(recent).finally(() => (completing = undefined)))

  return {
    ask: async (bearer) => (await askTogether(bearer)).answer,

    async verdictOn(bearer, byFacts) {
      const { answer, memory, isQuiet } = await askTogether(bearer)
      if (answer !== 'unknown') return answer
      // Redis has heard of every change since this memory began, and the facts were read later than that.
      const hears = isQuiet && memory && toldSince(memory) !== undefined
      if (hears && foundGood.get(bearer) === memory) return 'good'
      const verdict = await byFacts()
      if (hears && verdict === 'good') foundGood.set(bearer, memory)
      return verdict
    },

    async announce(subject, change) {
      await redis.eval(announceScript, 1, keyOf(subject), change, Math.ceil(markMs), Date.now())
    },

    async settle(outcome, change) {
      if (!('at' in outcome)) {
        await redis.eval(settleScript, 1, keyOf(outcome), change, 1, Date.now(), 0, '')
        return
      }
      const lifeMs = Math.ceil(outcome.at + markMs - Date.now())
      if (lifeMs > 0) await redis.eval(settleScript, 1, ...settling(outcome, change, lifeMs))
    },

    async complete(recent) {
      await complete(recent)
    },

    async repeat(recent) {
      if (!(await complete(recent))) await tell(await recent(Date.now() - markMs))
    },

    close() {
      redis.off('ready', onReady)
      redis.off('close', onClose)
    },
  }
}
