import { randomBytes } from 'node:crypto'
import type { RecordedEvent } from '@annals/contracts'
import type { ChainHead } from '@annals/platform/hash-chain'
import { longQuery, type Pool } from '@annals/platform/postgres'
import { isChain } from '../../engine/definition/chain'
import { linkNext } from '../../engine/fold/chain'
import type { ReadEvent, StreamState, Verdict } from '../../engine/fold/fold'
import { differingColumns } from '../../engine/tables/differing-columns'
import type { Tables } from '../../engine/tables/generation'
import {
  columnsOf,
  keyWidth,
  rowName,
  storedRow,
  type Projection,
  type StoredRow,
} from '../../engine/definition/projection'
import { HashSample, sampleSize } from './hash-sample'

/** What a recount has found. */
export interface Recounted {
  /** Rows that were folded a second time and compared. */
  rows: number
  /** Streams whose last revision was. */
  streams: number
  /** Names of rows, then of streams, with what is wrong behind them; never values. */
  differing: string[]
}

interface RecountedRow {
  name: string
  stored: StoredRow | undefined
  /** Where the rebuild and the recount did not agree about an event of this row. */
  disagreement: string | undefined
}

interface RecountedStream {
  stream: string
  state: StreamState
}

/**
 * Folds a sample of rows a second time while a rebuild reads the log. It uses the projection's functions directly, in
 * memory. It shares nothing with the way the shadow's rows are kept, loaded and written. So rows that no stream alone
 * makes are checked against the log as well. Each row of the sample is exact from its first event on, so it must
 * equal the shadow's.
 */
export class Recount {
  readonly #rows: HashSample<RecountedRow>
  readonly #streams: HashSample<RecountedStream>
  /** Last entries of its chains: a link needs all that came before it. */
  readonly #heads = new Map<string, ChainHead>()

  /** @param size rows, and streams, that are checked at least where there are so many; twice as many at most. */
  constructor(
    private readonly projection: Projection,
    size = sampleSize,
  ) {
    // Another one each time: over many rebuilds every row is checked.
    const salt = randomBytes(4).toString('hex')
    this.#rows = new HashSample(salt, size)
    this.#streams = new HashSample(salt, size)
  }

  /**
   * @param event each one that the shadow is made of, in its order.
   * @param verdict what the rebuild made of it. That a stream is parked is taken from there; of what was parked in the sample it
   *   is seen whether it really can not be folded.
   */
  see({ recorded, partition, reading }: ReadEvent, verdict: Verdict['kind']): void {
    const { stream, revision } = recorded
    if (this.#streams.has(stream)) {
      this.#streams.set(stream, { stream, state: { revision, blocked: verdict === 'parked' || verdict === 'queued' } })
    }
    if (isChain(this.projection)) {
      const { stored, place, head } = linkNext(
        this.projection,
        { head: (name) => this.#heads.get(name) },
        recorded,
        reading,
      )
      this.#heads.set(place, head)
      const name = rowName(stored.key, stored.shard)
      if (this.#rows.has(name)) this.#rows.set(name, { name, stored, disagreement: undefined })
      return
    }
    if (reading.kind !== 'event' || (verdict !== 'applied' && verdict !== 'parked')) return
    const { projection } = this
    let key: string | undefined
    try {
      key = projection.key(reading.event)
    } catch {
      // Parked for this very reason; it belongs to no row.
    }
    if (key === undefined) return
    const shard = projection.grain === 'shard' ? partition : 0
    const name = rowName(key, shard)
    if (!this.#rows.has(name)) return
    const before = this.#rows.get(name)
    try {
      const folded = projection.on[recorded.type]!(
        projection.grain === 'event' ? undefined : before?.stored?.row,
        reading.event,
      )
      const stored = storedRow(projection, key, shard, folded)
      if (verdict === 'applied') this.#rows.set(name, { name, stored, disagreement: before?.disagreement })
      else this.#disagree(name, before, `(${placeOf(recorded)} was parked, a recount applies it)`)
    } catch {
      if (verdict === 'applied')
        this.#disagree(name, before, `(${placeOf(recorded)} was applied, a recount refuses it)`)
    }
  }

  #disagree(name: string, before: RecountedRow | undefined, how: string): void {
    this.#rows.set(name, { name, stored: before?.stored, disagreement: before?.disagreement ?? how })
  }

  /**
   * Compares the sample with the tables, which hold just the events that were seen: a row on one side only is found as well.
   * @param max names told of rows, and of streams.
   */
  async compare(pool: Pool, tables: Tables, max: number): Promise<Recounted> {
    const rows = await this.#compareRows(pool, tables.rows)
    const streams = await this.#compareStreams(pool, tables.stream)
    return {
      rows: this.#rows.count,
      streams: this.#streams.count,
      differing: [...rows.slice(0, max), ...streams.slice(0, max)],
    }
  }

  async #compareRows(pool: Pool, table: string): Promise<string[]> {
    const { projection } = this
    const isSharded = projection.grain === 'shard'
    const [key] = columnsOf(projection).slice(0, keyWidth(projection))[0]!
    const name = `${isSharded ? 'shard' : '0'}::text || '|' || ${key}::text`
    const found = await sampled<Record<string, unknown>>(pool, table, name, this.#rows)
    const stored = new Map(
      found.map(({ [projection.keyColumn]: own, shard, ...row }) => {
        const one: StoredRow = { key: own as string, shard: isSharded ? (shard as number) : 0, row }
        return [rowName(one.key, one.shard), one]
      }),
    )
    const wrong: string[] = []
    for (const { name, stored: expected, disagreement } of this.#rows.values()) {
      const one = stored.get(name)
      stored.delete(name)
      const told = disagreement ?? differenceOf(projection, expected, one)
      if (told) wrong.push(`${shown(projection, name)} ${told}`)
    }
    for (const name of stored.keys()) wrong.push(`${shown(projection, name)} (no event makes this row)`)
    return wrong
  }

  async #compareStreams(pool: Pool, table: string): Promise<string[]> {
    const found = await sampled<{ stream: string; revision: bigint; blocked: boolean }>(
      pool,
      table,
      'stream',
      this.#streams,
    )
    const stored = new Map(found.map((one) => [one.stream, one]))
    const wrong: string[] = []
    for (const { stream, state } of this.#streams.values()) {
      const one = stored.get(stream)
      stored.delete(stream)
      if (!one) wrong.push(`${stream} (the stream is missing)`)
      else if (Number(one.revision) !== state.revision)
        wrong.push(`${stream} (revision ${one.revision} was reached, a recount says ${state.revision})`)
      else if (one.blocked !== state.blocked) wrong.push(`${stream} (whether it is parked)`)
    }
    for (const stream of stored.keys()) wrong.push(`${stream} (no event is of this stream)`)
    return wrong
  }
}

const placeOf = ({ stream, revision }: RecordedEvent) => `revision ${revision} of ${stream}`

/** As keys are told elsewhere. */
const shown = ({ grain }: Projection, name: string): string => {
  const [, shard, key] = /^(\d+)\|(.*)$/s.exec(name)!
  return grain === 'shard' ? `${key}|${shard}` : key!
}

function differenceOf(
  projection: Projection,
  expected: StoredRow | undefined,
  found: StoredRow | undefined,
): string | undefined {
  if (!expected) return found && '(no event makes this row)'
  if (!found) return '(the row is missing)'
  const columns = differingColumns(projection, expected, found)
  return columns.length > 0 ? `(not what a recount says: ${columns.join(', ')})` : undefined
}

/**
 * What a table holds of a sample: one scan, whose rows the server chooses. More than were expected can be told only in part: one
 * more is enough to know that they are wrong.
 */
async function sampled<Row extends object>(
  pool: Pool,
  table: string,
  name: string,
  sample: HashSample<unknown>,
): Promise<Row[]> {
  // Without collation it is the bytes that are hashed.
  const hash = `hashtext(($1 || ${name}) collate "C")::bigint & 4294967295`
  const { rows } = await longQuery<Row>(
    pool,
    `select t.* from ${table} t where ${hash} <= $2 order by ${hash} limit $3`,
    [sample.salt, sample.threshold, sample.count + surplusMax],
  )
  return rows
}

/** Rows that nothing makes are looked at up to this many. */
const surplusMax = 1_000
