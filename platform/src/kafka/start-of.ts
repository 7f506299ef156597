import type { ReadingPlace } from './ports'
import type { PartitionOffsets } from './topics'

/** Why a partition is read from its first record again. */
export const restartReasons = ['topic-made-anew', 'beyond-end', 'other-content'] as const
export type RestartReason = (typeof restartReasons)[number]

/** Where reading of a partition begins. */
export type Start =
  | {
      kind: 'goes-on'
      at: bigint
      /** The record at `at` was handled before, and has to be this one: only then is this the log that was read. */
      known?: { offset: bigint; mark: string }
    }
  /** The place is one of another log than this one. Repeats do no harm, gaps would. */
  | { kind: 'begins-again'; at: bigint; because: RestartReason; why: string }
  /** Records that were never read are gone, and to go on would hide it. */
  | { kind: 'stands-still'; why: string }

/**
 * What a place means in a partition.
 * @param place `undefined`: nothing was read yet.
 * @param topic the partition as it is now: it holds [low, high) of the topic with this id.
 */
export function startOf(
  place: ReadingPlace | undefined,
  topic: Omit<PartitionOffsets, 'partition'> & { topicId: string },
): Start {
  const { low, high, topicId } = topic
  if (!place) return { kind: 'goes-on', at: low }
  const { nextOffset, last } = place
  const again = (because: RestartReason, why: string): Start => ({ kind: 'begins-again', at: low, because, why })
  if (place.topicId !== undefined && place.topicId !== topicId)
    return again('topic-made-anew', `the topic was ${place.topicId} and is ${topicId} now`)
  const end = last && last.offset >= nextOffset ? last.offset + 1n : nextOffset
  if (end > high) return again('beyond-end', `reading should go on at offset ${end}, and the partition ends at ${high}`)
  if (nextOffset < low)
    return {
      kind: 'stands-still',
      why: `reading should go on at offset ${nextOffset}, but the partition now begins at ${low}: records are missing`,
    }
  // What retention has removed can not be compared any more; the id says that it is the topic that was read.
  if (!last || last.offset < low) return { kind: 'goes-on', at: nextOffset }
  return { kind: 'goes-on', at: last.offset, known: last }
}
