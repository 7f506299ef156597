import { placeOf } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import type { Logger } from '@annals/platform/log'
import { isChain } from '../engine/definition/chain'
import type { Projection } from '../engine/definition/projection'
import { topicsOf } from '../engine/definition/topics'
import { checkChain } from './chain-check'
import { LogWalk, type Mention } from './log-walk'
import { randomOf, randomPosition, randomStreams, type SampleDependencies } from './sample'
import { compareStream, isDeleted, type PassedOver, type StreamComparison } from './stream-comparison'
import { unseenStreams } from './unseen'

/** Random streams of each read model in one round, and as many that the log names: with a round every 30 s, 28,800 a day. */
const streamsPerRound = 5
/** Events of the log that are gone through in one round, and as many new ones: with a round every 30 s, 5.7 million a day. */
const eventsPerRound = 2_000
/** Streams known to differ that are looked at again in each round, before the random ones. */
const recheckedPerRound = 20
/** Streams remembered as differing; beyond it the number says "very many" all the same. */
const differingMax = 1_000

/** What the checker tells about its work. */
export interface DriftObserver {
  checked(projection: string): void
  /** A stream that was not known to differ. */
  found(projection: string): void
  /** Streams known to differ now. */
  differing(projection: string, streams: number): void
  /** Log, database or keys did not answer: nothing was learnt. */
  failed(projection: string): void
}

export interface DriftChecker {
  /** One round over all read models; ends early when stopped. Never throws. */
  round(): Promise<void>
  /** Rounds for ever, so many ms apart. */
  start(intervalMs: number): void
  /** Ends after the stream in hand. */
  stop(): Promise<void>
}

/** Whether nothing will be said of a stream any more. */
const isOver = (reason: PassedOver): boolean => reason === 'gone' || isDeleted(reason)

/**
 * Folds streams of the live read models from the log, again and again, and reports those that differ from their rows.
 * It takes random streams and some that the log names. It also walks through the whole log, repeatedly, for streams
 * that a read model lacks.
 */
export function createDriftChecker(
  projections: readonly Projection[],
  deps: SampleDependencies & { logger: Logger; observer: DriftObserver },
): DriftChecker {
  const { pool, log, logger, observer } = deps
  const checked = projections.map((projection) => ({ projection, differing: new Set<string>() }))
  const deleted = new Set<string>()
  const ending = new AbortController()
  const walk = new LogWalk(log, topicsOf(projections), async () => {
    // Each start elsewhere: else whoever is started often would only ever see the beginning.
    const [one] = randomOf(
      projections.filter((projection) => !isChain(projection)),
      1,
    )
    // A read model that is not there yet must not keep the others from being checked.
    return one && randomPosition(one, 'live', deps).catch(() => undefined)
  })
  let running: Promise<void> | undefined

  function learn({ name }: Projection, differing: Set<string>, stream: string, compared: StreamComparison): void {
    if (compared.kind !== 'passed-over') observer.checked(name)
    else if (isDeleted(compared.reason)) tellDeleted(stream)
    if (compared.kind === 'same' || (compared.kind === 'passed-over' && isOver(compared.reason))) {
      if (differing.delete(stream)) logger.info({ projection: name, stream }, 'a stream no longer differs from the log')
    }
    if (compared.kind !== 'differs') return
    if (differing.delete(stream)) {
      // To the end: the next round looks at others.
      differing.add(stream)
      return
    }
    observer.found(name)
    if (differing.size < differingMax) differing.add(stream)
    for (const { key, columns } of compared.differences.slice(0, recheckedPerRound)) {
      logger.error({ projection: name, stream, row: key, columns }, 'a row differs from the log')
    }
  }

  function tellDeleted(stream: string): void {
    if (deleted.has(stream) || deleted.size >= differingMax) return
    deleted.add(stream)
    logger.warn({ stream }, 'somebody has deleted this stream in the log: it cannot be checked any more')
  }

  async function checkOne({ projection, differing }: (typeof checked)[number], mentions: readonly Mention[]) {
    if (isChain(projection))
      return checkChain(projection, differing, deps, (name, compared) => learn(projection, differing, name, compared))
    const known = [...differing].slice(0, recheckedPerRound)
    const unseen = await unseenStreams(projection, 'live', mentions, pool)
    const missing = unseen.filter((stream) => !differing.has(stream)).slice(0, recheckedPerRound)
    const random = await randomStreams(pool, projection, 'live', streamsPerRound)
    const named = randomOf([...new Set(mentions.map(({ stream }) => stream))], streamsPerRound)
    const own = named.filter((stream) => projection.topics.some((topic) => topic === placeOf(stream)?.topic))
    for (const stream of new Set([...known, ...missing, ...random, ...own])) {
      if (ending.signal.aborted) return
      learn(projection, differing, stream, await compareStream(projection, 'live', stream, deps))
    }
  }

  async function round(): Promise<void> {
    // What is read of the log is read once for all of them.
    const mentions = await walk.next(eventsPerRound).catch((error: unknown) => error as Error)
    for (const one of checked) {
      const { name } = one.projection
      try {
        if (mentions instanceof Error) throw mentions
        await checkOne(one, mentions)
      } catch (error) {
        observer.failed(name)
        logger.warn({ projection: name, err: error }, 'drift could not be checked')
      }
      observer.differing(name, one.differing.size)
      if (ending.signal.aborted) return
    }
  }

  return {
    round,
    start(intervalMs) {
      running ??= (async () => {
        while (!ending.signal.aborted) {
          // Instances that were started together do not ask together.
          await pause(intervalMs * (0.5 + Math.random()), ending.signal)
          if (!ending.signal.aborted) await round()
        }
      })()
    },
    async stop() {
      ending.abort()
      await running
    },
  }
}
