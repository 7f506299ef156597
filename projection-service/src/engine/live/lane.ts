import { loadCheckpoints, type ReadingPlace } from '@annals/platform/checkpoint'
import type { BatchOutcome, IncomingBatch, TopicPartition } from '@annals/platform/kafka'
import type { Healer, Hole } from '@annals/platform/healing'
import type { Projection } from '../definition/projection'
import { laneTables } from '../tables/lane-table'
import { arrivalsOf, type Arrived, type ReadingBudget } from './arrivals'
import { createCombiner } from './combiner'
import { LaneTransactions, type TransactionDependencies, type TransactionObserver } from './lane-transaction'
import type { Applied, ArrivedPart, Part, Stop } from './part'

/** Events in one transaction at most: keeps it near 100 ms, which bounds how long a swap waits and how much is redone. */
const eventsPerTransactionMax = 2_000
/** Holes healed before a batch is handed back: keeps its handler within seconds, however many streams have one. */
const healingsPerBatchMax = 50
/** Contents read from the log for one batch, likewise. */
const contentsPerBatchMax = 50
const healingPauseMs = 100
/** A partition that met a hole is tried again this often; it needs people, or the log. */
const stoppedWaitMs = 5_000

/** What the lane tells about its work; the projector turns it into metrics. */
export interface LaneObserver extends TransactionObserver {
  /** A record on the topic that is no event of ours. */
  foreign(): void
  /** `reason` undefined: the partition flows. */
  waiting(place: TopicPartition, reason: 'hole' | undefined): void
}

export interface LaneDependencies extends TransactionDependencies {
  observer: LaneObserver
  /** Without one every hole stops its partition. */
  healer?: Healer | undefined
}

/** What may still be read from the log for a batch. */
type Budget = ReadingBudget & { healings: number }

type Apply = (part: ArrivedPart) => Promise<Applied>

/**
 * Handler of the lane's consumer: applies what Kafka brings to all read models that are joined. What is fetched of several partitions at
 * about the same time goes into one transaction, with the checkpoints of all of them.
 */
export function createLane(
  projections: readonly Projection[],
  deps: LaneDependencies,
): {
  positions(assigned: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]>
  look(places: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]>
  handle(batch: IncomingBatch): Promise<BatchOutcome>
} {
  const transactions = new LaneTransactions(projections, deps)
  const apply: Apply = createCombiner((parts) => transactions.apply(parts), {
    sizeOf: ({ arrived }) => arrived.length,
    sizeMax: eventsPerTransactionMax,
  })
  const load = async (places: readonly TopicPartition[]): Promise<ReadingPlace[]> => {
    const checkpoints = await loadCheckpoints(deps.pool, laneTables.checkpoint, places)
    return places.map((_, i) => checkpoints[i] ?? { nextOffset: 0n })
  }
  // 0 stands for "from the beginning", wherever retention has moved that to.
  const begun = (found: readonly ReadingPlace[]) => found.map((place) => (place.nextOffset === 0n ? undefined : place))
  return {
    async positions(assigned) {
      const found = await load(assigned)
      assigned.forEach((place, i) => transactions.expect(place, found[i]!))
      return begun(found)
    },

    look: async (places) => begun(await load(places)),

    async handle({ topic, partition, topicId, records, nextOffset }) {
      const budget = { healings: healingsPerBatchMax, contents: contentsPerBatchMax }
      for (let from = 0; from < records.length; from += eventsPerTransactionMax) {
        const slice = records.slice(from, from + eventsPerTransactionMax)
        const next = records[from + eventsPerTransactionMax]?.offset ?? nextOffset
        const part = { topic, partition, topicId, records: slice, nextOffset: next }
        const waiting = await applyHealing(deps, apply, part, budget)
        if (waiting) return waiting
      }
      deps.observer.waiting({ topic, partition }, undefined)
      return { kind: 'done' }
    },
  }
}

/** Applies what arrived, and what is missing in it, until it is done or something has to wait. */
async function applyHealing(
  deps: LaneDependencies,
  apply: Apply,
  part: Part,
  budget: Budget,
): Promise<BatchOutcome | undefined> {
  const { healer } = deps
  let arrived: readonly Arrived[] = await arrivalsOf(part.records, healer, budget, (offset, reason) =>
    passOver(deps, part, offset, reason),
  )
  let healing: { hole: Hole; events: number } | undefined
  for (;;) {
    const applied = await apply({ part, arrived })
    if (applied.kind !== 'committed') return outcomeOf(deps, applied, part)
    const { stop } = applied
    if (healing && (!stop || stop.index >= healing.events)) healer!.healed(healing.hole, healing.events)
    if (!stop) return undefined
    // What was left for the next turn has it at once.
    if (stop.because === 'unread' && budget.contents < 0)
      return { kind: 'wait', waitMs: healingPauseMs, reason: stop.reason, resumeAt: stop.offset }
    const hole = stop.because === 'hole' ? { after: stop.after, before: arrived[stop.index]!.recorded } : undefined
    const missing = hole && (await healer?.missing(hole))
    if (!missing) return outcomeOf(deps, { ...applied, stop }, part)
    if (--budget.healings < 0) {
      return { kind: 'wait', waitMs: healingPauseMs, reason: 'many holes are being healed', resumeAt: stop.offset }
    }
    // Applied in one transaction with the event that came too early, under the same checkpoint.
    healing = { hole: hole!, events: missing.length }
    arrived = [...missing.map((recorded): Arrived => ({ offset: stop.offset, recorded })), ...arrived.slice(stop.index)]
  }
}

/** What waits, and why; said in the log and to the metrics. */
function outcomeOf(
  { observer, log }: LaneDependencies,
  applied: Exclude<Applied, { kind: 'committed' }> | { kind: 'committed'; stop: Stop },
  { topic, partition }: TopicPartition,
): BatchOutcome {
  const place = { topic, partition }
  if (applied.kind === 'moved') return { kind: 'reposition' }
  const { offset, because, reason } = applied.stop
  // Missing or unreadable: both wait for the log.
  observer.waiting(place, 'hole')
  log.error({ ...place, offset: String(offset), because }, reason)
  return { kind: 'wait', waitMs: stoppedWaitMs, reason, resumeAt: offset }
}

function passOver(
  { observer, log }: LaneDependencies,
  { topic, partition }: TopicPartition,
  offset: bigint,
  reason: string,
): void {
  // Only the relay writes here. Had this record taken an event's place, the stream's next revision would tell.
  observer.foreign()
  log.error({ topic, partition, offset: String(offset), reason }, 'foreign record skipped')
}
