import { eventDefinitions, type RecordedEvent } from '@annals/contracts'
import type { TopicPartition } from '@annals/platform/kafka'
import { applyNext, judgeRevision, type Verdict } from '../fold/fold'
import type { ModelMemory } from '../fold/lane-memory'
import type { Projection } from '../definition/projection'
import type { Arrived } from './arrivals'
import type { Completed } from '../tables/lane-table'
import type { Readings, Handlers } from './reading'

/** A read model that gets what the lane reads of a partition. */
export interface Member {
  projection: Projection
  /** What it has applied already, whatever the lane has read. */
  completed: Completed
}

/** The state that the lane folds into. */
export interface LaneMemory {
  /** Stream → last revision. */
  streams: Map<string, number>
  changedStreams: Map<string, { revision: number; partition: number }>
  models: ReadonlyMap<Projection, ModelMemory>
}

export type Counts = Map<Projection, Map<Exclude<Verdict['kind'], 'stop'>, number>>

/** One read model can not go on, the others can. */
export class CanNotFollow extends Error {
  override readonly name = 'CanNotFollow'
  constructor(
    readonly projection: Projection,
    readonly place: TopicPartition,
    message: string,
  ) {
    super(message)
  }
}

export interface FoldedPart {
  /** What was applied although a higher log position had been reached before. */
  late: RecordedEvent[]
  /** Nothing of the event at this index, nor after it, was applied to any read model. */
  stop: Stopped
}

type Stopped = (Extract<Verdict, { kind: 'stop' }> & { index: number }) | undefined

/**
 * Folds a part's events into all read models that are joined: each event is judged once by its stream's revision.
 * @param options.from index of the part's first event in the batch, by which `readings` knows it.
 * @param options.reached log position that the lane has reached in this partition.
 * @throws CanNotFollow for a read model that a newer release has to feed: nothing of this memory may be written then.
 */
export function foldPart(
  place: TopicPartition,
  arrived: readonly Arrived[],
  {
    from,
    reached,
    members,
    readings,
    handlers,
    memory,
    counts,
  }: {
    from: number
    reached: bigint
    members: readonly Member[]
    readings: Readings
    handlers: Handlers
    memory: LaneMemory
    counts: Counts
  },
): FoldedPart {
  const { partition } = place
  const joined = new Map(members.map((member) => [member.projection, member]))
  const count = (projection: Projection, kind: Exclude<Verdict['kind'], 'stop'>, by = 1) => {
    let own = counts.get(projection)
    if (!own) counts.set(projection, (own = new Map()))
    own.set(kind, (own.get(kind) ?? 0) + by)
  }
  /** Next events of their streams, and how many of them each read model did something with. */
  const passed = { known: 0, unknown: 0, duplicates: 0 }
  const touched = new Map<Projection, number>()
  const touch = (projection: Projection) => touched.set(projection, (touched.get(projection) ?? 0) + 1)
  const tellOthers = () => {
    for (const { projection } of members) {
      const unhandled = passed.known - (touched.get(projection) ?? 0)
      if (unhandled > 0) count(projection, 'unhandled', unhandled)
      if (passed.unknown > 0) count(projection, 'unknown-type', passed.unknown)
      if (passed.duplicates > 0) count(projection, 'duplicate', passed.duplicates)
    }
  }
  const late: RecordedEvent[] = []
  let furthest = reached
  /** What is missing matters to nobody where all have been rebuilt beyond it. */
  const isCovered = (position: bigint) =>
    members.length > 0 && members.every(({ completed }) => completed.upTo >= position)
  const folded = (): Stopped => {
    for (const [i, { recorded }] of arrived.entries()) {
      const { stream, revision, position, type } = recorded
      const judged = judgeRevision(recorded, memory.streams.get(stream) ?? -1)
      if (judged?.kind === 'stop' && !isCovered(position)) return { ...judged, index: i }
      if (judged?.kind === 'duplicate') {
        passed.duplicates++
        continue
      }
      const handled = handlers.of(place.topic, type)
      const own = handled.length === 0 ? handled : handled.filter((projection) => joined.has(projection))
      const readingOf = (projection: Projection) => readings.get(projection)!.events[from + i]!
      const unread = own.map(readingOf).find(({ reading }) => reading.kind === 'unread')?.reading
      // Before anything is folded: an unreadable log concerns all.
      if (unread?.kind === 'unread') return { kind: 'stop', because: 'unread', reason: unread.reason, index: i }
      if (Object.hasOwn(eventDefinitions, type)) passed.known++
      else passed.unknown++
      for (const projection of own) {
        touch(projection)
        if (joined.get(projection)!.completed.has(position)) {
          count(projection, 'duplicate')
          continue
        }
        const model = memory.models.get(projection)!
        const verdict = applyNext(projection, model, readingOf(projection), model.blocked.has(stream))
        if (verdict.kind === 'stop') throw new CanNotFollow(projection, place, verdict.reason)
        count(projection, verdict.kind)
      }
      queueBehind(recorded, own)
      if (position <= furthest) late.push(recorded)
      else furthest = position
      memory.streams.set(stream, revision)
      memory.changedStreams.set(stream, { revision, partition })
    }
    return undefined
  }

  /** What a read model does not handle queues as well behind what is parked, so that a later version of it finds all. */
  const queueBehind = (recorded: RecordedEvent, handled: readonly Projection[]) => {
    for (const { projection, completed } of members) {
      const model = memory.models.get(projection)!
      if (!model.blocked.has(recorded.stream) || handled.includes(projection) || completed.has(recorded.position))
        continue
      model.park({ recorded, partition, error: undefined })
      touch(projection)
      count(projection, 'queued')
    }
  }

  const stop = folded()
  tellOthers()
  return { stop, late }
}
