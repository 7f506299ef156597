import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import type { Pool } from '@annals/platform/postgres'
import { createLiveProjection, type LiveObserver } from '../../src/engine/live/live'
import type { Projection } from '../../src/engine/definition/projection'
import { installProjection } from '../../src/engine/tables/registry'
import { silent } from './database'
import { batchOf, opensNothing } from './facts'

export const nobody: LiveObserver = {
  applied: () => undefined,
  foreign: () => undefined,
  waiting: () => undefined,
  transaction: () => undefined,
}

/** Read models fed as the projector feeds them, without Kafka between: each event to its place, at the next offset. */
export async function createReadModels(
  pool: Pool,
  projections: readonly Projection[],
  openAll: OpenAll = opensNothing,
) {
  const live = projections.map((projection) => ({
    projection,
    ...createLiveProjection(projection, { pool, openAll, log: silent, observer: nobody }),
  }))
  const offsets = new Map<string, bigint>()
  for (const projection of projections) await installProjection(pool, projection)
  return {
    async feed(events: readonly RecordedEvent[]): Promise<void> {
      const places = new Map<string, RecordedEvent[]>()
      for (const event of events) {
        const { topic, partition } = placeOf(event.stream)!
        const name = `${topic}/${partition}`
        places.set(name, [...(places.get(name) ?? []), event])
      }
      for (const [name, group] of places) {
        const [topic, partition] = name.split('/') as [string, string]
        const offset = offsets.get(name) ?? 0n
        const batch = batchOf(group, offset, Number(partition))
        for (const { projection, positions, handle } of live) {
          if (!(projection.topics as readonly string[]).includes(topic)) continue
          await positions([{ topic, partition: Number(partition) }])
          const outcome = await handle(batch)
          if (outcome.kind !== 'done')
            throw new Error(
              `${projection.name}: ${JSON.stringify(outcome, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
            )
        }
        offsets.set(name, batch.nextOffset)
      }
    },
  }
}
