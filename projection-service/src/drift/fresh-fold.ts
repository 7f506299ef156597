import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import { UnknownSubject } from '@annals/platform/subject-keys'
import { droppedReading } from '../engine/parking/drops'
import { applyEvent, readFor, type ParkedEvent, type ReadEvent, type StreamState } from '../engine/fold/fold'
import { MapMemory } from '../engine/fold/memory'
import type { Projection, StoredRow } from '../engine/definition/projection'

/** What a projection makes of one stream alone. */
export interface FreshFold {
  rows: StoredRow[]
  /** `undefined`: there was no event. */
  state: StreamState | undefined
  /** What could not be applied, and what queues behind it. */
  parked: readonly ParkedEvent[]
  /** Why the fold ended before its last event: a hole in the log, a version from the future. */
  stopped: string | undefined
}

/**
 * Folds one stream afresh, as if there had never been a row.
 * @param recorded its events in order, from the first.
 * @param dropped ids of events that people have dropped from this projection.
 */
export async function foldStreamAfresh(
  projection: Projection,
  recorded: readonly RecordedEvent[],
  dropped: ReadonlySet<string>,
  openAll: OpenAll,
): Promise<FreshFold> {
  const readings = await readFor(projection, recorded, openAll)
  const memory = new MapMemory()
  let stopped: string | undefined
  for (const [i, event] of recorded.entries()) {
    const read: ReadEvent = {
      recorded: event,
      partition: placeOf(event.stream)?.partition ?? 0,
      reading: dropped.has(event.id) ? droppedReading : readings[i]!,
    }
    const verdict = applyEvent(projection, memory, read)
    if (verdict.kind !== 'stop') continue
    stopped = verdict.reason
    break
  }
  const state = recorded[0] && memory.stream(recorded[0].stream)
  return { rows: memory.changedRows, state, parked: memory.parked, stopped }
}

/** Whether a fold says nothing because the row with a person's key was lost: rows from before are right all the same. */
export const lacksKey = ({ parked }: FreshFold): boolean =>
  parked.some(({ error }) => error?.cause instanceof UnknownSubject)
