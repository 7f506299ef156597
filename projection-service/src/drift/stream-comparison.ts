import { placeOf, type OpenAll } from '@annals/contracts'
import { loadCheckpoints } from '@annals/platform/checkpoint'
import { StreamDeleted, type EventLog, type LogEvent } from '@annals/platform/event-log'
import type { Pool, PoolClient } from '@annals/platform/postgres'
import { droppedEvents } from '../engine/parking/drops'
import { tablesOf, type Generation } from '../engine/tables/generation'
import { isOfOneStream } from '../engine/definition/chain'
import { rowName, type Projection, type StoredRow } from '../engine/definition/projection'
import { differingColumns } from '../engine/tables/differing-columns'
import { registered, shareGenerationSql } from '../engine/tables/registry'
import { rowTable } from '../engine/tables/row-table'
import { hasCompleted, isJoined } from '../engine/tables/lane-table'
import { loadStreams } from '../engine/tables/stream-table'
import { foldStreamAfresh, lacksKey } from './fresh-fold'

/** Streams that are longer are passed over: one check must not read without end. Ours have some ten events. */
export const streamEventsMax = 10_000
/** A stream that grows between the read of the log and that of its rows is looked at again so often. */
const attemptsMax = 3

/** A row that is not what the log says, without its values: they may be personal. */
export interface RowDifference {
  /** Of the row; the stream itself where the difference is not in a row. */
  key: string
  /** Columns that differ, or what else is wrong, in round brackets. */
  columns: string[]
}

export type StreamComparison =
  | { kind: 'same' }
  | { kind: 'differs'; differences: RowDifference[] }
  /** Nothing can be said about it now. */
  | {
      kind: 'passed-over'
      reason: PassedOver
    }

/**
 * Why nothing can be said about a stream. `gone`: neither the log, as far as the read model has seen it, nor the read model knows it.
 * `deleted`: somebody has deleted it in the log. `cut-off`: its first events are no longer there.
 */
export type PassedOver =
  | 'parked'
  | 'catching-up'
  | 'unfoldable'
  | 'key-missing'
  | 'too-long'
  | 'moving'
  | 'other-version'
  | 'gone'
  | 'deleted'
  | 'cut-off'

/** Of a stream that has been deleted in the log, in whole or in part. */
export const isDeleted = (reason: PassedOver): boolean => reason === 'deleted' || reason === 'cut-off'

export interface ComparisonDependencies {
  pool: Pool
  log: Pick<EventLog, 'readStream'>
  openAll: OpenAll
}

/** What a read model holds of one stream at one moment. */
interface Seen {
  /** -1: the stream is not there. */
  revision: number
  /** Whether it has the event at a position whatever its revision says. */
  hasCompleted(position: bigint): boolean
  blocked: boolean
  /** Log position up to which its partition was seen. */
  position: bigint
}

/**
 * Folds one stream afresh from the log, up to what the read model has seen of it, and compares rows; where rows are made of many
 * streams, the revision alone. A stream that the read model should have seen and has not differs as well. The stream's revision is
 * read before and after the rows, so that a model at work never seems to differ; no lock is held while the log is read.
 * @throws what the log, PostgreSQL or the subject keys throw when they do not answer.
 */
export async function compareStream(
  projection: Projection,
  generation: Generation,
  stream: string,
  { pool, log, openAll }: ComparisonDependencies,
): Promise<StreamComparison> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const dropped = await droppedEvents(pool, projection, stream)
    const before = await inGeneration(pool, projection, generation, (client) =>
      seenOf(client, projection, generation, stream),
    )
    if (typeof before === 'string') return { kind: 'passed-over', reason: before }
    const recorded = await readOrDeleted(log, stream)
    if (recorded === 'deleted') return { kind: 'passed-over', reason: 'deleted' }
    if (recorded.length > streamEventsMax) return { kind: 'passed-over', reason: 'too-long' }
    const seenUpTo = reachedRevision(before.revision, recorded, before.hasCompleted)
    const isSeen = seenUpTo >= 0
    if (recorded.length === 0) return { kind: 'passed-over', reason: isSeen ? 'deleted' : 'gone' }
    if (recorded[0]!.revision > 0) return { kind: 'passed-over', reason: 'cut-off' }
    const applied = recorded.filter(({ revision, position }) => revision <= seenUpTo || position <= before.position)
    if (applied.length === 0) return { kind: 'passed-over', reason: 'gone' }
    const isFoldable = isOfOneStream(projection) && isSeen
    const fresh = await foldStreamAfresh(projection, isFoldable ? applied : [], dropped, openAll)
    if (fresh.stopped) return { kind: 'passed-over', reason: 'unfoldable' }
    if (lacksKey(fresh)) return { kind: 'passed-over', reason: 'key-missing' }

    const compared = await inGeneration(pool, projection, generation, async (client) => {
      const first = await seenOf(client, projection, generation, stream)
      const stored = await rowTable(projection, tablesOf(projection, generation).rows).load(client, fresh.rows)
      const last = await seenOf(client, projection, generation, stream)
      if (typeof last === 'string') return last
      // Rows and revision move together: had the rows moved in between, the revision would have.
      const still = typeof first !== 'string' && first.revision === last.revision && last.revision === before.revision
      if (!still || isMoreIn(recorded, before, last)) return 'moving' as const
      return differencesOf(projection, fresh.rows, stored)
    })
    if (compared === 'moving') continue
    if (typeof compared === 'string') return { kind: 'passed-over', reason: compared }

    const reached = applied.at(-1)!.revision
    if (!isSeen) compared.push({ key: stream, columns: ['(the stream is missing)'] })
    else if (reached !== seenUpTo) {
      compared.push({ key: stream, columns: [`(revision ${seenUpTo} was reached, the log says ${reached})`] })
    }
    const [parked] = fresh.parked
    if (parked) {
      compared.push({ key: stream, columns: [`(revision ${parked.recorded.revision} can not be applied any more)`] })
    }
    return compared.length === 0 ? { kind: 'same' } : { kind: 'differs', differences: compared }
  }
  return { kind: 'passed-over', reason: 'moving' }
}

/** The events of a stream, one more than are looked at; `deleted`: for good. */
export async function readOrDeleted(
  log: Pick<EventLog, 'readStream'>,
  stream: string,
): Promise<LogEvent[] | 'deleted'> {
  try {
    return await log.readStream(stream, 0, streamEventsMax + 1)
  } catch (error) {
    if (error instanceof StreamDeleted) return 'deleted'
    throw error
  }
}

/**
 * How far a read model has come in a stream: as far as the lane, or further where it has events that the lane lacks.
 * @param recorded the stream's events in order.
 */
export function reachedRevision(
  lane: number,
  recorded: readonly Pick<LogEvent, 'revision' | 'position'>[],
  completed: (position: bigint) => boolean,
): number {
  let reached = lane
  for (const { revision, position } of recorded) if (revision === reached + 1 && completed(position)) reached = revision
  return reached
}

/** Whether the partition has meanwhile gone past an event of the stream that was not taken into the fold. */
const isMoreIn = (recorded: readonly LogEvent[], before: Seen, now: Seen): boolean =>
  recorded.some(
    ({ revision, position }) => revision > before.revision && position > before.position && position <= now.position,
  )

/** All that `work` reads is of one generation: no swap happens meanwhile. */
export async function inGeneration<T>(
  pool: Pool,
  projection: Projection,
  generation: Generation,
  work: (client: PoolClient) => Promise<T>,
): Promise<T | 'other-version'> {
  const client = await pool.connect()
  let failed: Error | undefined
  try {
    await client.query('begin')
    await client.query(shareGenerationSql(projection.name))
    const live = generation === 'live' ? await registered(client, projection.name) : undefined
    if (live && live.version !== projection.version) return 'other-version'
    return await work(client)
  } catch (error) {
    failed = error as Error
    throw error
  } finally {
    await client.query('rollback').catch(() => undefined)
    client.release(failed)
  }
}

async function seenOf(
  client: PoolClient,
  projection: Projection,
  generation: Generation,
  stream: string,
): Promise<Seen | 'parked' | 'catching-up'> {
  const tables = tablesOf(projection, generation)
  const place = placeOf(stream)
  // The lane's revision of the stream is not its own then.
  if (generation === 'live' && place && !(await isJoined(client, projection, place))) return 'catching-up'
  const state = (await loadStreams(client, tables.stream, [stream])).get(stream)
  const [checkpoint] = place ? await loadCheckpoints(client, tables.checkpoint, [place]) : []
  if (state?.blocked) return 'parked'
  const completed = generation === 'live' && place ? await hasCompleted(client, projection, place) : () => false
  return {
    revision: -1,
    blocked: false,
    ...state,
    position: checkpoint?.position ?? -1n,
    hasCompleted: completed,
  }
}

/** @param expected what the log says. @param stored what was found of these rows. */
export function differencesOf(
  projection: Projection,
  expected: readonly StoredRow[],
  stored: readonly StoredRow[],
): RowDifference[] {
  const found = new Map(stored.map((row) => [rowName(row.key, row.shard), row]))
  const differences: RowDifference[] = []
  for (const row of expected) {
    const other = found.get(rowName(row.key, row.shard))
    const columns = other ? differingColumns(projection, row, other) : ['(the row is missing)']
    if (columns.length > 0) differences.push({ key: row.key, columns })
  }
  return differences
}
