import type { EventLog } from '@annals/platform/event-log'
import type { Pool } from '@annals/platform/postgres'
import { tablesOf, type Generation } from '../engine/tables/generation'
import type { Projection } from '../engine/definition/projection'
import { laneTables } from '../engine/tables/lane-table'
import { walkOnce } from './log-walk'
import {
  compareStream,
  isDeleted,
  readOrDeleted,
  type ComparisonDependencies,
  type RowDifference,
} from './stream-comparison'
import { unseenStreams } from './unseen'

/** Below so many streams all are looked through for a random choice; above, the server samples pages. */
const smallTable = 50_000
/** Pages that are sampled at least: choosing few by chance may choose none. A page holds some hundred streams. */
const sampledPages = 20

/** Names of random streams of a read model, none of which is blocked; fewer than `count` when there are no more. */
export async function randomStreams(
  pool: Pool,
  projection: Projection,
  generation: Generation,
  count: number,
): Promise<string[]> {
  const seen = tablesOf(projection, generation).stream
  // Of a view no pages can be sampled.
  const table = generation === 'live' ? laneTables.stream : seen
  const { rows: sizes } = await pool.query<{ tuples: number; pages: number }>(
    `select reltuples::float8 as tuples, relpages::float8 as pages from pg_class where oid = $1::regclass`,
    [table],
  )
  const { tuples, pages } = sizes[0]!
  const percent = Math.min(100, (Math.max(sampledPages, count) / Math.max(1, pages)) * 100)
  // Whole pages, not rows by chance: only the chosen ones are read, however large the table.
  const sample = tuples > smallTable ? `tablesample system (${percent})` : ''
  const { rows } = await pool.query<{ stream: string }>(
    sample === ''
      ? `select stream from ${seen} where not blocked order by random() limit ${count}`
      : `select s.stream from (select stream from ${table} ${sample}) c join ${seen} s using (stream) where not s.blocked
         order by random() limit ${count}`,
  )
  return rows.map(({ stream }) => stream)
}

/**
 * A position of the log to begin a walk at, by chance: that of the last event of some stream of the read model. Only an event's own
 * position is one that the log takes.
 * @returns `undefined`: its beginning.
 */
export async function randomPosition(
  projection: Projection,
  generation: Generation,
  { pool, log }: Pick<ComparisonDependencies, 'pool' | 'log'>,
): Promise<bigint | undefined> {
  const [stream] = await randomStreams(pool, projection, generation, 1)
  const recorded = stream === undefined ? [] : await readOrDeleted(log, stream)
  return recorded === 'deleted' ? undefined : recorded.at(-1)?.position
}

/** A few of many, each as likely as any other. */
export function randomOf<T>(all: readonly T[], count: number): T[] {
  const left = [...all]
  return Array.from({ length: Math.min(count, left.length) }, () => {
    const [one] = left.splice(Math.floor(Math.random() * left.length), 1)
    return one!
  })
}

export interface Sampled {
  /** Streams that were compared. */
  compared: number
  /** Streams of which nothing could be said. */
  passedOver: number
  /** Of these, those that were deleted in the log, in whole or in part: twenty at most. */
  deleted: string[]
  /** Events of the log that were gone through for streams that the read model lacks. */
  walked: number
  differing: { stream: string; differences: RowDifference[] }[]
}

/** Streams that are told of as deleted. */
const deletedMax = 20
/** Missing streams that are looked at one by one; more do not tell more. */
const missingMax = 100
/** Events of the log that are gone through for each stream that is sampled: reading them costs less than comparing it. */
const walkedPerStream = 20

export interface SampleDependencies extends ComparisonDependencies {
  log: Pick<EventLog, 'readStream' | 'readAll' | 'head'>
}

/**
 * Folds streams afresh from the log, each alone, and compares with the rows of a generation; where rows are made of
 * many streams, compares revisions. Half of the streams are drawn from the read model, half from the log. The log is
 * walked through once from a random place, over a bounded number of events. What the read model lacks of these is
 * found whether or not it was drawn.
 */
export async function sampleStreams(
  projection: Projection,
  generation: Generation,
  count: number,
  deps: SampleDependencies,
): Promise<Sampled> {
  const { pool, log } = deps
  const mentioned = new Set<string>()
  const unseen = new Set<string>()
  let walked = 0
  const begin = await randomPosition(projection, generation, deps)
  for await (const mentions of walkOnce(log, projection.topics, begin, count * walkedPerStream)) {
    walked += mentions.length
    for (const { stream } of mentions) mentioned.add(stream)
    for (const stream of await unseenStreams(projection, generation, mentions, pool)) {
      if (unseen.size < missingMax) unseen.add(stream)
    }
  }
  const own = await randomStreams(pool, projection, generation, count)
  const drawn = new Set([...own.slice(0, Math.ceil(count / 2)), ...randomOf([...mentioned], Math.floor(count / 2))])
  for (const stream of own) if (drawn.size < count) drawn.add(stream)

  const found: Sampled = { compared: 0, passedOver: 0, deleted: [], walked, differing: [] }
  for (const stream of new Set([...unseen, ...drawn])) {
    const compared = await compareStream(projection, generation, stream, deps)
    if (compared.kind === 'passed-over') {
      // Drawn from the log, and not there for the read model yet.
      if (compared.reason !== 'gone') found.passedOver += 1
      if (isDeleted(compared.reason) && found.deleted.length < deletedMax) found.deleted.push(stream)
      continue
    }
    found.compared += 1
    if (compared.kind === 'differs') found.differing.push({ stream, differences: compared.differences })
  }
  return found
}
