import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import { begunChain, type ChainHead } from '@annals/platform/hash-chain'
import type { PoolClient } from '@annals/platform/postgres'
import { chainName, placeOfChain, type ChainHeads, type ChainProjection } from '../engine/definition/chain'
import type { Row } from '../engine/definition/columns'
import { decodeRow, type StoredRow } from '../engine/definition/projection'
import { prefixesOf } from '../engine/definition/topics'
import { linkNext } from '../engine/fold/chain'
import { readFor } from '../engine/fold/fold'
import { differingColumns } from '../engine/tables/differing-columns'
import type { Tables } from '../engine/tables/generation'

/** Rows and events in memory at once. */
const pageSize = 1_000

/**
 * What is wrong with a chain, at one entry.
 * - `changed`: the entry says other than its event does. `columns` names where; never values.
 * - `missing`: the log has the event, and later ones of its partition have their entries.
 * - `cut-off`: the log has the event, and the chain ends before it.
 * - `inserted`: the log has no such event.
 * - `head`: the chain's head is not its last entry.
 * - `anchor`: the log itself says that the chain was another one.
 */
export interface ChainFinding {
  kind: 'changed' | 'missing' | 'cut-off' | 'inserted' | 'head' | 'anchor'
  topic: string
  partition: number
  /** Of the entry; for `inserted` what it says of itself. */
  sequence: string
  position: string
  eventId: string | null
  columns: string[]
}

/** A row as it was found. */
interface Found {
  key: string
  row: Row
  topic: string
  partition: number
  sequence: bigint
  position: bigint
}

export interface ChainWalk {
  projection: ChainProjection
  tables: Tables
  /** In a transaction of repeatable reads: rows, heads and places are of one moment. */
  client: PoolClient
  log: Pick<EventLog, 'readAll'>
  openAll: OpenAll
  /** Walked from behind this position of the log on; -1: from its beginning. */
  after: bigint
  /** The chains' heads at that position. */
  heads: ChainHeads
  /** How far each chain goes, by `topic/partition`. */
  reached: ReadonlyMap<string, bigint>
  /** So many entries at most. */
  entriesMax: number
  found(finding: ChainFinding): void
  /** What the log says beside the events of the chains, when the walk comes to it: all before it was compared. */
  beside?: { prefix: string; see(event: RecordedEvent): Promise<void> }
  signal?: AbortSignal
}

export interface Walked {
  entries: number
  /** Whether all was walked that there is. */
  isWhole: boolean
  /** As the log makes them. */
  heads: Map<string, ChainHead>
}

/** Entries in the order of the log. Read in pages by their position: an index is enough, and nothing is sorted. */
async function* entriesAfter({ projection, tables, client, after }: ChainWalk): AsyncGenerator<Found> {
  // Behind every UUID: an entry at that position itself is not walked.
  let [position, key] = [after, 'z']
  for (;;) {
    const { rows } = await client.query<Record<string, unknown>>(
      `select * from ${tables.rows}
       where position >= $1 and (position > $1 or ${projection.keyColumn}::text collate "C" > $2)
       order by position, ${projection.keyColumn}::text collate "C" limit ${pageSize}`,
      [position, key],
    )
    for (const found of rows) {
      const row = decodeRow(projection, found)
      key = found[projection.keyColumn] as string
      position = row['position'] as bigint
      yield {
        key,
        row,
        position,
        topic: row['topic'] as string,
        partition: row['partition'] as number,
        sequence: row['sequence'] as bigint,
      }
    }
    if (rows.length < pageSize) return
  }
}

/** Events of the log, a page at a time. */
async function* pagesOf({ log, after, projection, beside, signal }: ChainWalk): AsyncGenerator<RecordedEvent[]> {
  let page: RecordedEvent[] = []
  const prefixes = [...prefixesOf(projection.topics), ...(beside ? [beside.prefix] : [])]
  for await (const event of log.readAll({ after: after < 0n ? undefined : after, prefixes })) {
    signal?.throwIfAborted()
    if (page.push(event) < pageSize) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}

/**
 * Walks a chain's entries beside the log, both in the log's order, and tells of every entry that is not what the log makes. Memory does
 * not grow with either.
 */
export async function walkChain(walk: ChainWalk): Promise<Walked> {
  const { projection, reached, entriesMax, openAll, beside } = walk
  const heads = new Map(walk.heads)
  const state = { head: (name: string) => heads.get(name) }
  const entries = entriesAfter(walk)
  let next = await entries.next()
  let count = 0
  /** Entries that were missed since the last one that was there: cut off, if none comes after. */
  const missed = new Map<string, ChainFinding[]>()

  const tellMissed = (place: string, kind: 'missing' | 'cut-off') => {
    for (const finding of missed.get(place) ?? []) walk.found({ ...finding, kind })
    missed.delete(place)
  }
  const tell = (kind: ChainFinding['kind'], at: Omit<ChainFinding, 'kind' | 'columns'>, columns: string[] = []) =>
    walk.found({ kind, ...at, columns })
  const tellInserted = ({ key, topic, partition, sequence, position }: Found) =>
    tell('inserted', { topic, partition, sequence: `${sequence}`, position: `${position}`, eventId: key })

  const compare = async (stored: StoredRow, place: string, head: ChainHead) => {
    const { position } = head
    while (!next.done && next.value.position < position) {
      tellInserted(next.value)
      next = await entries.next()
    }
    const at = { ...placeOfChain(place), sequence: `${head.sequence}`, position: `${position}`, eventId: stored.key }
    let isThere = false
    while (!next.done && next.value.position === position) {
      const { value } = next
      if (isThere) tellInserted(value)
      else {
        isThere = true
        tellMissed(place, 'missing')
        const columns = differingColumns(projection, stored, { key: value.key, shard: 0, row: value.row })
        if (columns.length > 0) tell('changed', at, columns)
      }
      next = await entries.next()
    }
    if (isThere) return
    const open = missed.get(place) ?? []
    if (open.length < missedMax) missed.set(place, [...open, { kind: 'missing', ...at, columns: [] }])
  }

  let isWhole = true
  reading: for await (const page of pagesOf(walk)) {
    const own = page.filter(({ stream }) => placeOf(stream) && projection.topics.includes(placeOf(stream)!.topic))
    const readings = new Map((await readFor(projection, own, openAll)).map((reading, i) => [own[i]!, reading]))
    for (const event of page) {
      const reading = readings.get(event)
      if (!reading) {
        await beside?.see(event)
        continue
      }
      if (event.position > (reached.get(chainName(placeOf(event.stream)!)) ?? -1n)) continue
      if (count >= entriesMax) {
        isWhole = false
        break reading
      }
      const { stored, place, head } = linkNext(projection, state, event, reading)
      heads.set(place, head)
      count += 1
      await compare(stored, place, head)
    }
  }
  if (isWhole) {
    for (; !next.done; next = await entries.next()) tellInserted(next.value)
    for (const place of missed.keys()) tellMissed(place, 'cut-off')
  } else for (const place of missed.keys()) tellMissed(place, 'missing')
  return { entries: count, isWhole, heads }
}

/** Entries that are missing one behind the other are told of one by one up to here. */
const missedMax = 20

/** Heads that are not the last entries of their chains. */
export function headFindings(expected: ChainHeads, stored: ChainHeads): ChainFinding[] {
  return [...new Set([...expected.keys(), ...stored.keys()])].flatMap((place) => {
    const [one, other] = [expected.get(place) ?? begunChain, stored.get(place) ?? begunChain]
    const columns = (['sequence', 'hash', 'position'] as const).filter((column) => one[column] !== other[column])
    if (columns.length === 0) return []
    const at = { sequence: `${one.sequence}`, position: `${one.position}`, eventId: null }
    return [{ kind: 'head' as const, ...placeOfChain(place), ...at, columns }]
  })
}
