import type { OpenAll } from '@annals/contracts'
import { decodeMemo, readFor, type ReadEvent } from '../fold/fold'
import type { Projection } from '../definition/projection'
import type { ArrivedPart } from './part'

/** What one read model makes of the events of a batch. */
export interface OwnReadings {
  /** Indexes, in the batch, of the events that it handles; in order. */
  indexes: readonly number[]
  /** By those indexes. */
  events: readonly (ReadEvent | undefined)[]
}

/** Of each read model that handles any. */
export type Readings = ReadonlyMap<Projection, OwnReadings>

/** Which read models handle an event, by its topic and type: found out once for each. */
export class Handlers {
  readonly #found = new Map<string, readonly Projection[]>()

  constructor(private readonly members: readonly Projection[]) {}

  of(topic: string, type: string): readonly Projection[] {
    const key = `${topic} ${type}`
    let handlers = this.#found.get(key)
    if (!handlers) {
      handlers = this.members.filter(
        ({ topics, on }) => (topics as readonly string[]).includes(topic) && on[type] !== undefined,
      )
      this.#found.set(key, handlers)
    }
    return handlers
  }
}

/**
 * Reads events for every read model that handles them: each event is decoded and opened once.
 * @throws whatever `openAll` throws: nothing has been decided, ask again.
 */
export async function readForAll(
  handlers: Handlers,
  parts: readonly ArrivedPart[],
  openAll: OpenAll,
): Promise<Readings> {
  const all = parts.flatMap(({ arrived }) => arrived)
  const partitions: number[] = []
  const indexes = new Map<Projection, number[]>()
  for (const { part, arrived } of parts)
    for (const { recorded } of arrived) {
      const at = partitions.push(part.partition) - 1
      for (const projection of handlers.of(part.topic, recorded.type)) {
        const own = indexes.get(projection)
        if (own) own.push(at)
        else indexes.set(projection, [at])
      }
    }
  const memo = decodeMemo()
  const readings = new Map<Projection, OwnReadings>()
  for (const [projection, own] of indexes) {
    const recorded = own.map((at) => all[at]!.recorded)
    const found = await readFor(projection, recorded, openAll, { memo, indexes: own })
    const events: (ReadEvent | undefined)[] = Array.from({ length: all.length })
    for (const [n, at] of own.entries())
      events[at] = { recorded: recorded[n]!, partition: partitions[at]!, reading: all[at]!.reading ?? found[n]! }
    readings.set(projection, { indexes: own, events })
  }
  return readings
}
