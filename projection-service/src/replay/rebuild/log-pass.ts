import type { OpenAll } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import { decodeMemo } from '../../engine/fold/fold'
import type { PlacedEvent } from '../fold/bulk-fold'
import { createHeapBound } from '../fold/heap-bound'
import { createThrottle, paceOf } from '../fold/pace'
import { prefixesOf, topicsOf } from '../../engine/definition/topics'
import { placed } from '../source/event-source'
import type { Builder, Limits } from './builder'

export interface Pass {
  log: EventLog
  openAll: OpenAll
  signal: AbortSignal
  /** Events per second at most; `undefined`: as fast as it goes. */
  throttle?: number | undefined
  /** Called after every chunk with its last event and how many it had. */
  onChunk?: (last: PlacedEvent, events: number) => void
}

/** Reads the log once for all builders, from where the one that is furthest behind stands, up to their limits or the end. */
export async function passOverLog(
  all: readonly { builder: Builder; limits: Limits }[],
  { log, openAll, signal, throttle, onChunk }: Pass,
): Promise<void> {
  const work = all.filter(({ builder, limits }) => !builder.hasReached(limits))
  if (work.length === 0) return
  for (const { builder } of work) builder.beginRound()
  const from = work.map(({ builder }) => builder.position).reduce((a, b) => (a < b ? a : b))
  const end = endOf(work)
  const prefixes = prefixesOf(topicsOf(work.map(({ builder }) => builder.projection)))
  let chunk: PlacedEvent[] = []
  const { foldSize } = paceOf(throttle)
  const waitAfter = createThrottle(throttle, () => performance.now())
  const boundHeap = createHeapBound()

  const fold = async () => {
    const memo = decodeMemo()
    for (const { builder, limits } of work) await builder.apply(chunk, limits, openAll, memo)
    onChunk?.(chunk.at(-1)!, chunk.length)
    const waitMs = waitAfter(chunk.length)
    chunk = []
    boundHeap()
    if (waitMs > 0) await pause(waitMs, signal)
  }

  for await (const event of log.readAll({ after: from < 0n ? undefined : from, prefixes })) {
    signal.throwIfAborted()
    if (end !== undefined && event.position > end) break
    const one = placed(event)
    if (one && chunk.push(one) >= foldSize) await fold()
  }
  if (chunk.length > 0) await fold()
}

/** Where the last of the limits lies; `undefined` when one of the builders goes to the end of the log. */
function endOf(work: readonly { builder: Builder; limits: Limits }[]): bigint | undefined {
  let end = -1n
  for (const { builder, limits } of work) {
    if (!limits) return undefined
    for (const position of [builder.recountsTo, ...limits.values()]) if (position > end) end = position
  }
  return end
}
