import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import type { Pool } from '@annals/platform/postgres'
import type { CatchUpObserver } from '../../src/engine/live/catch-up'
import { createLane, type LaneObserver } from '../../src/engine/live/lane'
import type { Projection } from '../../src/engine/definition/projection'
import { installProjection } from '../../src/engine/tables/registry'
import { silent } from './database'
import { batchOf, opensNothing } from './facts'

export const nobody: LaneObserver & CatchUpObserver = {
  applied: () => undefined,
  foreign: () => undefined,
  waiting: () => undefined,
  transaction: () => undefined,
  left: () => undefined,
  joined: () => undefined,
  stopped: () => undefined,
}

/** Read models fed as the projector feeds them, without Kafka between: each event to its place, at the next offset. */
export async function createReadModels(
  pool: Pool,
  projections: readonly Projection[],
  openAll: OpenAll = opensNothing,
) {
  const lane = createLane(projections, { pool, openAll, log: silent, observer: nobody })
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
        if (!projections.some(({ topics }) => (topics as readonly string[]).includes(topic))) continue
        const offset = offsets.get(name) ?? 0n
        const batch = batchOf(group, offset, Number(partition))
        await lane.positions([{ topic, partition: Number(partition) }])
        const outcome = await lane.handle(batch)
        if (outcome.kind !== 'done')
          throw new Error(JSON.stringify(outcome, (_, v) => (typeof v === 'bigint' ? String(v) : v)))
        offsets.set(name, batch.nextOffset)
      }
    },
  }
}
