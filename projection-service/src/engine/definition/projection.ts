import { topicNames, type AnnalsEvent, type EventType, type TopicName } from '@annals/contracts'
import { columnCodec, type ColumnCodec, type ColumnKind, type Columns, type Row, type RowOf } from './columns'

/**
 * What one row stands for. It is what keeps folds free of races: every row is fed by one partition, whose events arrive
 * in order, one transaction at a time.
 * - `stream`: one row for each stream. Its key is a function of the stream.
 * - `event`: one row for each event, written once and never read by a fold. Its key is the event's id.
 * - `shard`: one row for each key *and partition*, for keys that events of many streams share (a day, a user's sessions).
 *   The reader adds the at most six rows up.
 * - `chain`: one row for each event, which carries the hash of the row before it in its partition, in the order of the log.
 *   Declared by `defineChain`; never in the lane, it reads the log itself.
 */
export type Grain = 'stream' | 'event' | 'shard' | 'chain'

/** A read model as a pure fold of rows; everything else is the engine's. */
export interface Projection {
  /** Name of the read model and of its PostgreSQL schema. */
  readonly name: string
  /** A change of columns or folds is a new version: it is built beside the old one and swapped in. */
  readonly version: number
  readonly table: string
  readonly grain: Grain
  readonly keyColumn: string
  readonly keyType: 'uuid' | 'text'
  readonly columns: Columns
  /** Secondary indexes by name: what stands behind `on <table>`. Made after a rebuild's load. */
  readonly indexes: Readonly<Record<string, string>>
  /** Whether folds see personal data. Without it these fields read `null`, and no key is ever asked for. */
  readonly readsPersonal: boolean
  readonly topics: readonly TopicName[]
  /** The row that an event belongs to; `undefined`: none, the event is passed over. */
  readonly key: (event: AnnalsEvent) => string | undefined
  readonly on: Readonly<Partial<Record<string, (row: Row | undefined, event: AnnalsEvent) => Row>>>
}

/** A name that needs no quoting and leaves room for the suffix of a generation. */
const nameForm = /^[a-z][a-z0-9_]{0,40}$/

/**
 * Declares a projection.
 * @param definition.on one pure function per event type: `(row | undefined, event) => row`. It returns a new row, never
 *   changes the one it was given, and knows no clock. What it throws parks the event.
 * @throws Error when the definition contradicts itself.
 */
export function defineProjection<
  const Name extends string,
  const C extends Columns,
  Types extends EventType,
  const Key extends string,
>(definition: {
  name: Name
  version: number
  table: string
  grain: Grain
  keyColumn: Key
  keyType?: 'uuid' | 'text'
  columns: C
  indexes?: Record<string, string>
  readsPersonal?: boolean
  /** Topics that carry the events. */
  topics: readonly TopicName[]
  key: (event: AnnalsEvent<NoInfer<Types>>) => string | undefined
  on: { [T in Types]: (row: RowOf<C> | undefined, event: AnnalsEvent<T>) => RowOf<C> }
}) {
  const { name, version, table, grain, topics, columns, keyColumn } = definition
  const wrong = (reason: string) => new Error(`projection ${name}: ${reason}`)
  for (const identifier of [name, table, keyColumn, ...Object.keys(columns)]) {
    if (!nameForm.test(identifier)) throw wrong(`"${identifier}" is no lower-case SQL name`)
  }
  if (!Number.isInteger(version) || version < 1) throw wrong('the version must be 1 or more')
  if (topics.length === 0 || topics.some((topic) => !topicNames.includes(topic))) throw wrong('names no known topic')
  // A shard is numbered by its partition alone.
  if (grain === 'shard' && topics.length !== 1) throw wrong('rows per shard are fed from exactly one topic')
  if (keyColumn in columns || 'shard' in columns) throw wrong('the key columns are the engine’s')
  return {
    keyType: 'uuid' as const,
    indexes: {},
    readsPersonal: false,
    ...definition,
  } as unknown as Projection & { readonly name: Name; readonly row?: RowOf<C> }
}

export interface RowKey {
  readonly key: string
  /** Partition, for the grain `shard`; 0 otherwise. */
  readonly shard: number
}

/** A row and where it belongs. */
export interface StoredRow extends RowKey {
  readonly row: Row
}

/** All columns of a projection's table in order, key first. */
export function columnsOf(projection: Projection): [name: string, kind: ColumnKind][] {
  const key: [string, ColumnKind][] = [[projection.keyColumn, projection.keyType]]
  if (projection.grain === 'shard') key.push(['shard', 'integer'])
  return [...key, ...(Object.entries(projection.columns) as [string, ColumnKind][])]
}

/** How many columns make the primary key. */
export const keyWidth = (projection: Projection): number => (projection.grain === 'shard' ? 2 : 1)

/** Name of a row within a projection: unique over keys and shards. */
export const rowName = (key: string, shard: number): string => `${shard}|${key}`

interface Codecs {
  key: ColumnCodec
  columns: [name: string, codec: ColumnCodec][]
}

/** Made once for each definition: rows are checked after every fold. */
const codecs = new WeakMap<Projection, Codecs>()

function codecsOf(projection: Projection): Codecs {
  let made = codecs.get(projection)
  if (!made) {
    made = {
      key: columnCodec(projection.keyColumn, projection.keyType),
      columns: Object.entries(projection.columns).map(([name, kind]) => [name, columnCodec(name, kind)]),
    }
    codecs.set(projection, made)
  }
  return made
}

/** @throws UnfitRow when the table can not hold it. */
export function storedRow(projection: Projection, key: string, shard: number, row: Row): StoredRow {
  const codecs = codecsOf(projection)
  codecs.key.check(key)
  for (const [name, codec] of codecs.columns) codec.check(row[name])
  return { key, shard, row }
}

/** A row as folds see it, of one that PostgreSQL's driver handed out. */
export function decodeRow(projection: Projection, found: Row): Row {
  return Object.fromEntries(codecsOf(projection).columns.map(([name, codec]) => [name, codec.read(found[name])]))
}

/** Values of a row in the order of `columnsOf`, as PostgreSQL reads them. */
export function encodeRow(projection: Projection, { key, shard, row }: StoredRow): (string | null)[] {
  const encoded: (string | null)[] = projection.grain === 'shard' ? [key, String(shard)] : [key]
  for (const [name, codec] of codecsOf(projection).columns) encoded.push(codec.write(row[name]))
  return encoded
}
