import { placeOf, type RecordedEvent } from '@annals/contracts'
import { nextEntry, type ChainHead } from '@annals/platform/hash-chain'
import type { Row } from '../definition/columns'
import { chainName, type ChainLink, type ChainProjection } from '../definition/chain'
import { storedRow, type StoredRow } from '../definition/projection'
import type { Reading } from './fold'

/** An entry that follows others, and the head that it makes. */
export interface Linked {
  stored: StoredRow
  place: string
  head: ChainHead
}

/**
 * The entry of the next event of a partition. Never fails: an event that can not be read, or whose row its table can not hold, has an entry
 * that says no more than the log does.
 * @param heads the chains' heads as they stand; none: the chain begins.
 */
export function linkNext(
  projection: ChainProjection,
  heads: { head(place: string): ChainHead | undefined },
  recorded: RecordedEvent,
  reading: Reading,
): Linked {
  const { topic, partition } = placeOf(recorded.stream)!
  const place = chainName({ topic, partition })
  const { head, content, previous } = nextEntry({ topic, partition }, heads.head(place), recorded)
  const link: ChainLink = {
    topic,
    partition,
    sequence: head.sequence,
    position: recorded.position,
    stream: recorded.stream,
    revision: BigInt(recorded.revision),
    type: recorded.type,
    content_hash: content,
    previous_hash: previous,
    hash: head.hash,
  }
  const stored = (row: Row) => storedRow(projection, recorded.id, 0, { ...row, ...link })
  if (reading.kind !== 'event') return { stored: stored(projection.unreadable(recorded)), place, head }
  try {
    return { stored: stored(projection.on[recorded.type]!(undefined, reading.event)), place, head }
  } catch {
    return { stored: stored(projection.unreadable(recorded)), place, head }
  }
}
