/** A part of a topic that was read before the deliveries were set back. Messages of it may have gone out already. */
export interface Gap {
  /** Kafka's id of the topic that `untilOffset` belongs to. */
  topicId: string
  /** Where reading had come to. */
  untilOffset: bigint
  /** Log position, and time in epoch ms, that had been reached. */
  untilPosition: bigint
  untilAt: number
  /** What people decided about its mails. */
  mails: 'repeat' | 'skip'
}

/** Clocks of those who record facts may be ahead of the database's by less than this. */
const clockDifferenceMax = 3_600_000

/**
 * Whether an event lies in the gap. On the topic that was read, the offset tells. Where the topic was made anew since, its log position
 * does, together with the time of the fact: positions are given again after the log was restored.
 */
export function isInGap(
  { topicId, untilOffset, untilPosition, untilAt }: Gap,
  event: { topicId: string; offset: bigint; position: bigint; occurredAt: string },
): boolean {
  if (event.topicId === topicId) return event.offset < untilOffset
  return event.position <= untilPosition && Date.parse(event.occurredAt) <= untilAt + clockDifferenceMax
}
