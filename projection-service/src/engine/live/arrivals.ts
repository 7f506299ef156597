import { fromCloudEvent, type EventReference, type RecordedEvent } from '@annals/contracts'
import type { Healer } from '@annals/platform/healing'
import type { IncomingRecord } from '@annals/platform/kafka'
import type { Reading } from '../fold/fold'

/** An event as it came, from Kafka or from the log. */
export interface Arrived {
  /** Of its record; of the record behind the hole that it heals. */
  offset: bigint
  recorded: RecordedEvent
  /** How it is read where its data do not tell: they could not be had, or PostgreSQL refused what they lead to. */
  reading?: Reading
}

/** Contents read from the log for one batch; the rest of them waits for its next turn. */
export interface ReadingBudget {
  contents: number
}

/** Reads an event whose content is in the log only. */
async function contentOf(reference: EventReference, healer: Healer | undefined): Promise<Omit<Arrived, 'offset'>> {
  const { id, type, stream, revision, position } = reference
  const place = { id, type, stream, revision, position, data: undefined, metadata: undefined }
  const unread = (why: string) => ({
    recorded: place,
    reading: {
      kind: 'unread' as const,
      reason: `the content of ${stream} revision ${revision} is in the log only: ${why}`,
    },
  })
  if (!healer) return unread('this projector does not read it (EVENTSTORE_URL)')
  const content = await healer.content(reference)
  switch (content.kind) {
    case 'event':
      return { recorded: content.event }
    case 'lost':
      return { recorded: place, reading: { kind: 'invalid', reason: content.reason } }
    case 'no-answer':
      return unread('it does not answer')
  }
}

/**
 * Events that records bring, in order; those that were too large for a record are read from the log.
 * @param onForeign told of each record that is no event of ours, and why.
 */
export async function arrivalsOf(
  records: readonly IncomingRecord[],
  healer: Healer | undefined,
  budget: ReadingBudget,
  onForeign: (offset: bigint, reason: string) => void,
): Promise<Arrived[]> {
  const arrived: Arrived[] = []
  for (const record of records) {
    const { offset } = record
    const result = fromCloudEvent(record)
    if (result.ok) arrived.push({ offset, recorded: result.event })
    else if (!result.reference) onForeign(offset, result.reason)
    else {
      const has = --budget.contents >= 0
      const found = await contentOf(result.reference, has ? healer : undefined)
      arrived.push({
        offset,
        ...found,
        ...(has ? {} : { reading: { kind: 'unread', reason: 'many contents are being read' } }),
      })
    }
  }
  return arrived
}
