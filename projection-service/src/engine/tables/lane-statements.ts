import type { Checkpoint } from '@annals/platform/checkpoint'
import type { TopicPartition } from '@annals/platform/kafka'
import type { PoolClient } from '@annals/platform/postgres'
import { typeOf } from '../definition/columns'
import { columnsOf, keyWidth, type Projection, type RowKey, type StoredRow } from '../definition/projection'
import { tablesOf } from './generation'
import { laneTables, progressChannel } from './lane-table'
import { prepared } from './prepared'
import { rowJsonReader, rowJsonSql } from './row-json'
import { numbered, upsertRowsSql, upsertValues } from './row-table'

/** What the lane loads for a batch. */
export interface Loaded {
  /** Stream → revision. */
  streams: Map<string, number>
  blocked: { stream: string; projection: string }[]
  /** In the order of the read models that were asked. */
  rows: StoredRow[][]
}

/** What a batch has changed. */
export interface Changed {
  rows: readonly { projection: Projection; rows: readonly StoredRow[] }[]
  streams: ReadonlyMap<string, { revision: number; partition: number }>
  checkpoints: readonly (TopicPartition & { to: Checkpoint; eventId: string | undefined })[]
}

/** Statements of one shape that are kept: each connection plans each of them once. Batches of a system have some ten shapes. */
const shapesMax = 64

function loadSql(asked: readonly Projection[]): string {
  const parameter = numbered()
  const streams = parameter('text[]')
  const parts = [
    `select 0 as source, json_build_array(stream, revision) as value from ${laneTables.stream} where stream = any(${streams})`,
    `select 1, json_build_array(stream, projection) from ${laneTables.blocked} where stream = any(${streams})`,
  ]
  for (const [i, projection] of asked.entries()) {
    const keys = columnsOf(projection).slice(0, keyWidth(projection))
    const names = keys.map(([name]) => name).join(', ')
    const wanted = keys.map(([, kind]) => parameter(`${typeOf(kind)}[]`)).join(', ')
    parts.push(
      `select ${i + 2}, ${rowJsonSql(projection, 't')} from ${tablesOf(projection, 'live').rows} t
       join unnest(${wanted}) as w (${names}) using (${names})`,
    )
  }
  return parts.join(' union all ')
}

function writeSql(changed: readonly Projection[]): string {
  const parameter = numbered()
  const rows = changed.map((one, i) => `m${i} as (${upsertRowsSql(one, tablesOf(one, 'live').rows, parameter)})`)
  const array = (type: string) => parameter(`${type}[]`)
  const streams = `s as (insert into ${laneTables.stream} (stream, revision, partition)
    select * from unnest(${array('text')}, ${array('bigint')}, ${array('smallint')})
    on conflict (stream) do update set revision = excluded.revision)`
  const columns = ['next_offset', 'position', 'topic_id', 'record_offset', 'record_mark']
  const types = ['text', 'integer', 'bigint', 'bigint', 'text', 'bigint', 'text', 'text']
  const moved = `c as (update ${laneTables.checkpoint} l
    set ${columns.map((name) => `${name} = v.${name}`).join(', ')}, updated_at = now(),
      position_event = coalesce(v.event, l.position_event)
    from unnest(${types.map(array).join(', ')}) as v (topic, partition, ${columns.join(', ')}, event)
    where l.topic = v.topic and l.partition = v.partition returning 1)`
  return `with ${[...rows, streams, moved].join(', ')}
    select (select count(*) from c)::integer as moved, pg_notify('${progressChannel}', '')`
}

/** The statements of a lane's transactions: one loads whatever a batch touches, one writes whatever it changes. */
export class LaneStatements {
  readonly #shapes = new Map<string, ReturnType<typeof prepared>>()
  readonly #readers = new Map<Projection, ReturnType<typeof rowJsonReader>>()

  /** @param shape names of the read models in it, in order. */
  #statement(kind: 'load' | 'write', shape: readonly Projection[], sql: (shape: readonly Projection[]) => string) {
    const key = `${kind} ${shape.map(({ name }) => name).join(' ')}`
    const known = this.#shapes.get(key)
    if (known) return known
    // Beyond them a statement is parsed every time, and nothing is kept of it.
    if (this.#shapes.size >= shapesMax) return { text: sql(shape) }
    const made = prepared(sql(shape))
    this.#shapes.set(key, made)
    return made
  }

  #reader(projection: Projection) {
    let reader = this.#readers.get(projection)
    if (!reader) this.#readers.set(projection, (reader = rowJsonReader(projection)))
    return reader
  }

  /** Loads streams, what is blocked of them, and rows, in one round trip. */
  async load(
    client: PoolClient,
    streams: readonly string[],
    wanted: readonly { projection: Projection; keys: readonly RowKey[] }[],
  ): Promise<Loaded> {
    const asked = wanted.map(({ projection }) => projection)
    const values: unknown[] = [streams]
    for (const { projection, keys } of wanted) {
      values.push(keys.map(({ key }) => key))
      if (keyWidth(projection) === 2) values.push(keys.map(({ shard }) => shard))
    }
    const { rows } = await client.query<{ source: number; value: unknown[] }>({
      ...this.#statement('load', asked, loadSql),
      values,
    })
    const loaded: Loaded = { streams: new Map(), blocked: [], rows: asked.map(() => []) }
    for (const { source, value } of rows) {
      if (source === 0) loaded.streams.set(value[0] as string, value[1] as number)
      else if (source === 1) loaded.blocked.push({ stream: value[0] as string, projection: value[1] as string })
      else loaded.rows[source - 2]!.push(this.#reader(asked[source - 2]!)(value))
    }
    return loaded
  }

  /** Writes rows, streams and checkpoints in one round trip, and tells who waits for them when it is committed. */
  async write(client: PoolClient, { rows, streams, checkpoints }: Changed): Promise<void> {
    const values: unknown[] = rows.flatMap((one) => upsertValues(one.projection, one.rows))
    const states = [...streams.values()]
    values.push(
      [...streams.keys()],
      states.map(({ revision }) => revision),
      states.map(({ partition }) => partition),
      checkpoints.map(({ topic }) => topic),
      checkpoints.map(({ partition }) => partition),
      checkpoints.map(({ to }) => to.nextOffset),
      checkpoints.map(({ to }) => to.position),
      checkpoints.map(({ to }) => to.topicId ?? null),
      checkpoints.map(({ to }) => to.last?.offset ?? null),
      checkpoints.map(({ to }) => to.last?.mark ?? null),
      checkpoints.map(({ eventId }) => eventId ?? null),
    )
    const shape = rows.map(({ projection }) => projection)
    const { rows: told } = await client.query<{ moved: number }>({
      ...this.#statement('write', shape, writeSql),
      values,
    })
    if (told[0]?.moved !== checkpoints.length) throw new Error('a checkpoint of the lane is missing')
  }
}
