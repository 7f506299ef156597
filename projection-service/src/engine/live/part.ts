import type { RecordedEvent } from '@annals/contracts'
import { recordMark, type IncomingRecord, type TopicPartition } from '@annals/platform/kafka'
import type { ReadingPlace } from '@annals/platform/checkpoint'
import type { Verdict } from '../fold/fold'
import type { Arrived } from './arrivals'

/** A part of a batch that is applied in one transaction. */
export interface Part extends TopicPartition {
  topicId: string
  records: readonly IncomingRecord[]
  /** Where reading goes on after it. */
  nextOffset: bigint
}

/** A part with the events that it brings. */
export interface ArrivedPart {
  part: Part
  arrived: readonly Arrived[]
}

export type Stop = Extract<Verdict, { kind: 'stop' }> & {
  /** Of the event that has to wait. */
  index: number
  offset: bigint
}

export type Applied = { kind: 'committed'; stop?: Stop } | { kind: 'moved' }

/** The event at the highest log position beyond `position`; `undefined`: there is none. */
export function furthestOf(events: readonly Arrived[], position: bigint): RecordedEvent | undefined {
  let furthest: RecordedEvent | undefined
  for (const { recorded } of events) if (recorded.position > (furthest?.position ?? position)) furthest = recorded
  return furthest
}

/**
 * The place that is reached when everything before `stopAt` was handled, or the whole part.
 * @param from where the checkpoint stood: what it tells of the record before holds for as long as nothing of this part was handled.
 */
export function reachedIn(
  { topicId, records, nextOffset }: Part,
  stopAt: bigint | undefined,
  from: ReadingPlace,
): ReadingPlace {
  const reached = stopAt ?? nextOffset
  const handled = records.findLast(({ offset }) => offset < reached)
  const before = from.topicId === topicId && from.last && from.last.offset < reached ? from.last : undefined
  const last = handled ? { offset: handled.offset, mark: recordMark(handled) } : before
  return { nextOffset: reached, topicId, ...(last ? { last } : {}) }
}
