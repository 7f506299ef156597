import { pause } from '@annals/platform/backoff'
import type { Logger } from '@annals/platform/log'
import type { Projection } from '../engine/projection'
import { randomStreams } from './sample'
import { compareStream, type ComparisonDependencies, type StreamComparison } from './stream-comparison'

/** Random streams of each read model in one round: with a round every 30 s, 14,400 streams a day. */
const streamsPerRound = 5
/** Streams known to differ that are looked at again in each round, before the random ones. */
const recheckedPerRound = 20
/** Streams remembered as differing; beyond it the number says "very many" all the same. */
const differingMax = 1_000

/** What the auditor tells about its work. */
export interface DriftObserver {
  checked(projection: string): void
  /** A stream that was not known to differ. */
  found(projection: string): void
  /** Streams known to differ now. */
  differing(projection: string, streams: number): void
  /** Log, database or keys did not answer: nothing was learnt. */
  failed(projection: string): void
}

export interface DriftAuditor {
  /** One round over all read models; ends early when stopped. Never throws. */
  round(): Promise<void>
  /** Rounds for ever, so many ms apart. */
  start(intervalMs: number): void
  /** Ends after the stream in hand. */
  stop(): Promise<void>
}

/** Read models whose streams can be folded alone. */
export const auditable = (projections: readonly Projection[]): Projection[] =>
  projections.filter(({ grain }) => grain !== 'shard')

/** Folds random streams of the live read models afresh from the log, for ever, and says which do not equal their rows. */
export function createDriftAuditor(
  projections: readonly Projection[],
  deps: ComparisonDependencies & { logger: Logger; observer: DriftObserver },
): DriftAuditor {
  const { pool, logger, observer } = deps
  const audited = auditable(projections).map((projection) => ({ projection, differing: new Set<string>() }))
  const ending = new AbortController()
  let running: Promise<void> | undefined

  function learn({ name }: Projection, differing: Set<string>, stream: string, compared: StreamComparison): void {
    if (compared.kind !== 'passed-over') observer.checked(name)
    if (compared.kind === 'same' || (compared.kind === 'passed-over' && compared.reason === 'gone')) {
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

  async function auditOne({ projection, differing }: (typeof audited)[number]): Promise<void> {
    const known = [...differing].slice(0, recheckedPerRound)
    const random = await randomStreams(pool, projection, 'live', streamsPerRound)
    for (const stream of new Set([...known, ...random])) {
      if (ending.signal.aborted) return
      learn(projection, differing, stream, await compareStream(projection, 'live', stream, deps))
    }
  }

  async function round(): Promise<void> {
    for (const one of audited) {
      const { name } = one.projection
      try {
        await auditOne(one)
      } catch (error) {
        observer.failed(name)
        logger.warn({ projection: name, err: error }, 'drift could not be audited')
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
