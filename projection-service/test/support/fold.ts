import { expect } from '@jest/globals'
import type { OpenAll, RecordedEvent } from '@annals/contracts'
import type { Row } from '../../src/engine/definition/columns'
import {
  applyEvent,
  readFor,
  type Memory,
  type ParkedEvent,
  type StreamState,
  type Verdict,
} from '../../src/engine/fold/fold'
import type { ChainHead } from '@annals/platform/hash-chain'
import type { Projection, StoredRow } from '../../src/engine/definition/projection'

/** Everything a projection has made of events, in memory. */
export interface Folded {
  rows: Map<string, StoredRow>
  streams: Map<string, StreamState>
  parked: ParkedEvent[]
  /** Last entries of chains. */
  heads: Map<string, ChainHead>
  verdicts: Verdict[]
}

export const nothing = (): Folded => ({
  rows: new Map(),
  streams: new Map(),
  parked: [],
  heads: new Map(),
  verdicts: [],
})

export const memoryOf = ({ rows, streams, parked, heads }: Folded): Memory => ({
  row: (name) => rows.get(name)?.row,
  setRow: (name, row) => rows.set(name, row),
  stream: (name) => streams.get(name),
  setStream: (name, state) => streams.set(name, state),
  park: (event) => parked.push(event),
  head: (place) => heads.get(place),
  setHead: (place, head) => heads.set(place, head),
})

/** Folds events into what is there already. Personal data opens as erased unless `openAll` says otherwise. */
export async function fold(
  projection: Projection,
  events: readonly RecordedEvent[],
  into = nothing(),
  partition = 0,
  openAll: OpenAll = async (parts) => parts.map(() => null),
): Promise<Folded> {
  const readings = await readFor(projection, events, openAll)
  const memory = memoryOf(into)
  for (const [i, recorded] of events.entries()) {
    into.verdicts.push(applyEvent(projection, memory, { recorded, partition, reading: readings[i]! }))
  }
  return into
}

/** Given facts, then these rows by key. */
export const given = (projection: Projection, ...events: RecordedEvent[]) => ({
  async then(expected: Record<string, Row>): Promise<void> {
    const { rows, parked } = await fold(projection, events)
    expect(parked).toEqual([])
    const found = Object.fromEntries([...rows.values()].map(({ key, row }) => [key, row]))
    expect(found).toEqual(
      Object.fromEntries(Object.entries(expected).map(([key, row]) => [key, expect.objectContaining(row)])),
    )
  },
  async isParked(reason: RegExp): Promise<void> {
    const { parked } = await fold(projection, events)
    expect(parked[0]?.error?.message).toMatch(reason)
  },
})
