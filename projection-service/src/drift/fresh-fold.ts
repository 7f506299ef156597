import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import { UnknownSubject } from '@annals/platform/subject-keys'
import { droppedReading } from '../engine/parking/drops'
import {
  applyEvent,
  readFor,
  type Memory,
  type ParkedEvent,
  type ReadEvent,
  type StreamState,
} from '../engine/fold/fold'
import { rowName, type Projection, type StoredRow } from '../engine/definition/projection'

/** What a projection makes of one stream alone. */
export interface FreshFold {
  rows: StoredRow[]
  /** `undefined`: there was no event. */
  state: StreamState | undefined
  /** What could not be applied, and what queues behind it. */
  parked: ParkedEvent[]
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
  const rows = new Map<string, StoredRow>()
  const parked: ParkedEvent[] = []
  let state: StreamState | undefined
  const memory: Memory = {
    row: (name) => rows.get(name)?.row,
    setRow: (_, stored) => rows.set(rowName(stored.key, stored.shard), stored),
    stream: () => state,
    setStream: (_, next) => (state = next),
    park: (event) => parked.push(event),
  }
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
  return { rows: [...rows.values()], state, parked, stopped }
}

/** Whether a fold says nothing because the row with a person's key was lost: rows from before are right all the same. */
export const lacksKey = ({ parked }: FreshFold): boolean =>
  parked.some(({ error }) => error?.cause instanceof UnknownSubject)
