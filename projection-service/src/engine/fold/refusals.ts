import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import { applyEvent, readFor, type Verdict } from './fold'
import { MapMemory } from './memory'
import type { Projection } from '../definition/projection'

/** An event that a projection can not fold. */
export interface Refusal {
  projection: string
  stream: string
  revision: number
  type: string
  /** `schemaVersion` of the event, as far as its metadata tells one. */
  version: number | undefined
  reason: string
}

const versionOf = ({ metadata }: RecordedEvent) =>
  (metadata as { schemaVersion?: number } | null | undefined)?.schemaVersion

/**
 * Folds one stream through every projection that reads it, in memory, as projector and rebuild would.
 * @param recorded the stream's events in order, from revision 0.
 * @returns for each projection the first event it refuses: what comes after it would queue behind it.
 * @throws whatever `openAll` throws.
 */
export async function refusalsOfStream(
  projections: readonly Projection[],
  recorded: readonly RecordedEvent[],
  openAll: OpenAll,
): Promise<Refusal[]> {
  const place = recorded[0] && placeOf(recorded[0].stream)
  if (!place) return []
  const refusals: Refusal[] = []
  for (const projection of projections) {
    if (!projection.topics.includes(place.topic)) continue
    const readings = await readFor(projection, recorded, openAll)
    const memory = new MapMemory()
    for (const [i, event] of recorded.entries()) {
      const verdict = applyEvent(projection, memory, {
        recorded: event,
        partition: place.partition,
        reading: readings[i]!,
      })
      const reason = reasonOf(verdict, memory)
      if (reason === undefined) continue
      const { stream, revision, type } = event
      refusals.push({ projection: projection.name, stream, revision, type, version: versionOf(event), reason })
      break
    }
  }
  return refusals
}

function reasonOf(verdict: Verdict, { parked }: MapMemory): string | undefined {
  switch (verdict.kind) {
    case 'stop':
      return verdict.reason
    case 'duplicate':
      return 'the stream holds this revision twice'
    case 'parked':
    case 'queued':
      return parked[0]?.error?.message ?? 'refused'
    case 'applied':
    case 'unhandled':
    case 'unknown-type':
      return undefined
  }
}

/** An example of the golden corpus: an event as the log holds it, and its personal data in clear if any is sealed. */
export interface Example {
  recorded: RecordedEvent
  opened?: Record<string, unknown>
}

/**
 * Folds every example through every projection: alone, or, where a fold needs a row, after each example of the same stream
 * that it takes alone. Each once with its personal data opened and once with its person erased.
 * @returns what a fold refuses; the reason is that of the last attempt.
 */
export async function refusalsOfExamples(
  projections: readonly Projection[],
  examples: readonly Example[],
): Promise<Refusal[]> {
  const openedById = new Map(examples.map(({ recorded, opened }) => [recorded.id, opened ?? null]))
  const refusals: Refusal[] = []
  for (const isErased of [false, true]) {
    const attempt = async (projection: Projection, events: readonly RecordedEvent[]) => {
      const stream = events.map((event, revision) => ({ ...event, revision }))
      // The context of a seal ends in the event's id.
      const openAll: OpenAll = async (parts) =>
        parts.map(({ context }) => (isErased ? null : (openedById.get(context.split('|').at(-1)!) ?? null)))
      return (await refusalsOfStream([projection], stream, openAll))[0]
    }
    for (const projection of projections) {
      const alone = await Promise.all(
        examples.map(async (e) => ({ ...e, refusal: await attempt(projection, [e.recorded]) })),
      )
      for (const { recorded, refusal } of alone) {
        if (!refusal) continue
        // An event that the projection passes over begins nothing.
        const beginnings = alone.filter(
          (other) =>
            !other.refusal && other.recorded.stream === recorded.stream && other.recorded.type in projection.on,
        )
        let last = beginnings.length === 0 ? refusal : undefined
        for (const beginning of beginnings) last = (await attempt(projection, [beginning.recorded, recorded])) ?? last
        if (!last) continue
        const reason = isErased ? `${last.reason} (with the person erased)` : last.reason
        const { revision, type } = recorded
        refusals.push({ ...last, revision, type, version: versionOf(recorded), reason })
      }
    }
  }
  return refusals
}
