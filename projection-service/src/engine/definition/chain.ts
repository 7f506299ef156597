import type { AnnalsEvent, EventType, RecordedEvent, TopicName } from '@annals/contracts'
import type { ChainHead, ChainPlace } from '@annals/platform/hash-chain'
import type { Columns, Row, RowOf } from './columns'
import { defineProjection, type Projection } from './projection'

/** Columns that the engine fills in a read model of the grain `chain`, behind those of its definition. */
const chainColumns = {
  topic: 'text',
  partition: 'integer',
  sequence: 'bigint',
  position: 'bigint',
  stream: 'text',
  revision: 'bigint',
  type: 'text',
  content_hash: 'text',
  previous_hash: 'text',
  hash: 'text',
} as const satisfies Columns

/** What the engine writes of an entry. */
export type ChainLink = RowOf<typeof chainColumns>

/** A read model whose rows are entries of chains, one for each partition: an entry for each event, in the order of the log. */
export interface ChainProjection extends Projection {
  readonly grain: 'chain'
  /** The entry of an event that this release can not read. */
  readonly unreadable: (recorded: RecordedEvent) => Row
}

export const isChain = (projection: Projection): projection is ChainProjection => projection.grain === 'chain'

/** Whether one stream alone tells what the rows of its events are. */
export const isOfOneStream = ({ grain }: Projection): boolean => grain === 'stream' || grain === 'event'

/**
 * Declares a read model of the grain `chain`. Every event of its topics is an entry: what is not in `on`, or can not be read, is described
 * by `unreadable`, so that nothing is ever left out or waits. Folds see no personal data.
 * @throws Error when the definition contradicts itself.
 */
export function defineChain<const Name extends string, const C extends Columns, Types extends EventType>(definition: {
  name: Name
  version: number
  table: string
  columns: C
  indexes?: Record<string, string>
  topics: readonly TopicName[]
  on: { [T in Types]: (event: AnnalsEvent<T>) => RowOf<C> }
  unreadable: (recorded: RecordedEvent) => RowOf<C>
}) {
  const { on, unreadable, columns, indexes = {}, table, ...rest } = definition
  const taken = Object.keys(columns).find((name) => name in chainColumns)
  if (taken) throw new Error(`projection ${definition.name}: the column ${taken} is the engine’s`)
  const own = on as unknown as Record<string, (event: AnnalsEvent) => Row>
  const projection = defineProjection<Name, Columns, EventType, 'event_id'>({
    ...rest,
    table,
    grain: 'chain',
    keyColumn: 'event_id',
    columns: { ...columns, ...chainColumns },
    indexes: {
      [`${table}_by_sequence`]: '(topic, partition, sequence)',
      [`${table}_by_position`]: '(position)',
      ...indexes,
    },
    key: (event) => event.id,
    on: Object.fromEntries(
      Object.entries(own).map(([type, describe]) => [type, (_: unknown, event: AnnalsEvent) => describe(event)]),
    ) as never,
  })
  return { ...projection, unreadable } as unknown as ChainProjection & {
    readonly name: Name
    readonly row?: RowOf<C> & ChainLink
  }
}

/** Name of a place among heads. */
export const chainName = ({ topic, partition }: ChainPlace): string => `${topic}/${partition}`

export const placeOfChain = (name: string): ChainPlace => {
  const [topic, partition] = name.split('/') as [string, string]
  return { topic, partition: Number(partition) }
}

/** Heads by `topic/partition`. */
export type ChainHeads = ReadonlyMap<string, ChainHead>
