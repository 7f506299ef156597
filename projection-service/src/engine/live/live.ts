import type { OpenAll, RecordedEvent } from '@annals/contracts'
import {
  checkpointColumns,
  checkpointOf,
  isSamePlace,
  loadCheckpoints,
  moveCheckpointSql,
  movingValues,
  type CheckpointRow,
  type ReadingPlace,
} from '@annals/platform/checkpoint'
import {
  recordMark,
  type BatchOutcome,
  type IncomingBatch,
  type IncomingRecord,
  type TopicPartition,
} from '@annals/platform/kafka'
import type { Healer, Hole } from '@annals/platform/healing'
import type { Logger } from '@annals/platform/log'
import type { Pool, PoolClient } from '@annals/platform/postgres'
import { arrivalsOf, type Arrived, type ReadingBudget } from './arrivals'
import { loadBatchMemory } from './batch-memory'
import { applyEvent, readFor, type ReadEvent, type Verdict } from '../fold/fold'
import { tablesOf } from '../tables/generation'
import { prepared } from '../tables/prepared'
import type { Projection } from '../definition/projection'
import { shareGenerationSql } from '../tables/registry'
import { isRowFault, refusedReading } from '../tables/row-fault'
import { rowTable } from '../tables/row-table'

/** Events in one transaction at most: keeps it near 100 ms, which bounds how long a swap waits and how much is redone. */
const eventsPerTransactionMax = 2_000
/** Holes healed before a batch is handed back: keeps its handler within seconds, however many streams have one. */
const healingsPerBatchMax = 50
/** Contents read from the log for one batch, likewise. */
const contentsPerBatchMax = 50
const healingPauseMs = 100
/** A partition that met a hole or a newer version is tried again this often; it needs people or a deployment. */
const stoppedWaitMs = 5_000

/**
 * An instance that is frozen in the middle of a transaction holds its partition's checkpoint, and whoever has taken the
 * partition over waits for it: the server ends such a transaction. Between two statements lies one fold, of milliseconds.
 */
const frozenMsMax = 10_000

/** What the engine tells about its work; the projector turns it into metrics. */
export interface LiveObserver {
  applied(verdict: Exclude<Verdict['kind'], 'stop'>, count: number): void
  /** A record on the topic that is no event of ours. */
  foreign(): void
  /** `reason` undefined: the partition flows. */
  waiting(place: TopicPartition, reason: 'hole' | 'newer-version' | 'other-version-live' | undefined): void
  transaction(seconds: number, events: number): void
}

export interface LiveDependencies {
  pool: Pool
  openAll: OpenAll
  log: Logger
  observer: LiveObserver
  /** Without one every hole stops its partition. */
  healer?: Healer | undefined
}

/** A part of a batch that is applied in one transaction. */
interface Part extends TopicPartition {
  topicId: string
  records: readonly IncomingRecord[]
  /** Where reading goes on after it. */
  nextOffset: bigint
}

type Stop = Extract<Verdict, { kind: 'stop' }> & {
  /** Of the event that has to wait. */
  index: number
  offset: bigint
}

/** What may still be read from the log for a batch. */
type Budget = ReadingBudget & { healings: number }

type Applied = { kind: 'committed'; stop?: Stop } | { kind: 'moved' } | { kind: 'other-version'; version: number }

/** Handler of a projection's consumer: applies what Kafka brings, each batch in one transaction with its checkpoint. */
export function createLiveProjection(
  projection: Projection,
  { pool, openAll, log, observer, healer }: LiveDependencies,
): {
  positions(assigned: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]>
  handle(batch: IncomingBatch): Promise<BatchOutcome>
} {
  const tables = tablesOf(projection, 'live')
  const table = rowTable(projection, tables.rows)
  /** Where this instance left each partition's checkpoint: what its next transaction must find. */
  const expected = new Map<string, ReadingPlace>()
  const placeName = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

  // Not waiting for the disk: what PostgreSQL loses in a crash is lost whole, checkpoint and rows, and is done again. No
  // sequential scans: everything here goes by key, and plans that were kept from when a table was small must not say otherwise.
  const beginSql = `begin; set local synchronous_commit = off; set local enable_seqscan = off;
    set local idle_in_transaction_session_timeout = ${frozenMsMax}; ${shareGenerationSql(projection.name)}`
  const lock = prepared(`select p.version, ${checkpointColumns('c')} from annals.projection p, ${tables.checkpoint} c
    where p.name = $1 and c.topic = $2 and c.partition = $3 for update of c`)
  const move = prepared(moveCheckpointSql(tables.checkpoint, ['position_event = coalesce($10, position_event)']))

  function onForeign({ topic, partition }: TopicPartition, offset: bigint, reason: string): void {
    // Only the relay writes here. Had this record taken an event's place, the stream's next revision would tell.
    observer.foreign()
    log.error({ topic, partition, offset: String(offset), reason }, 'foreign record skipped')
  }

  async function fold(client: PoolClient, events: readonly ReadEvent[]) {
    const memory = await loadBatchMemory(client, projection, table, tables, events)
    const counts = new Map<Exclude<Verdict['kind'], 'stop'>, number>()
    for (const [index, event] of events.entries()) {
      const verdict = applyEvent(projection, memory, event)
      if (verdict.kind === 'stop') return { memory, counts, stop: { index, ...verdict } }
      counts.set(verdict.kind, (counts.get(verdict.kind) ?? 0) + 1)
    }
    return { memory, counts, stop: undefined }
  }

  /**
   * One transaction: from where the checkpoint stands to the part's end, or to the event that has to wait. What was seen before is
   * told by its stream's revision alone: a topic that was filled anew brings what it lacked at any log position and offset.
   */
  async function apply(
    client: PoolClient,
    part: Part,
    arrived: readonly Arrived[],
    events: readonly ReadEvent[],
  ): Promise<Applied> {
    const { topic, partition } = part
    await client.query(beginSql)
    const { rows } = await client.query<CheckpointRow & { version: number }>({
      ...lock,
      values: [projection.name, topic, partition],
    })
    if (!rows[0]) throw new Error(`projection ${projection.name} has no checkpoint for ${placeName(part)}`)
    const { version } = rows[0]
    const found = checkpointOf(rows[0])
    if (version !== projection.version) return { kind: 'other-version', version }
    if (!isSamePlace(found, expected.get(placeName(part)))) return { kind: 'moved' }

    const { memory, counts, stop } = await fold(client, events)
    const end = stop ? stop.index : events.length
    const reached = reachedIn(part, stop && arrived[end]!.offset, found)
    // What was published again, or heals a hole, is older than what has been applied: the position never goes back.
    const furthest = furthestOf(events.slice(0, end), found.position)
    const position = furthest?.position ?? found.position

    await memory.write()
    const values = [...movingValues(part, found, { ...reached, position }), furthest?.id ?? null]
    const moved = await client.query({ ...move, values })
    if (moved.rowCount !== 1) return { kind: 'moved' }
    await client.query('commit')

    expected.set(placeName(part), reached)
    for (const [verdict, count] of counts) observer.applied(verdict, count)
    for (const { recorded, error } of memory.parked) {
      if (!error) continue
      const { stream, revision, type } = recorded
      log.error(
        { projection: projection.name, stream, revision, type, err: error },
        'event parked, its stream is blocked',
      )
    }
    return { kind: 'committed', ...(stop ? { stop: { ...stop, offset: reached.nextOffset } } : {}) }
  }

  async function attempt(part: Part, arrived: readonly Arrived[]): Promise<Applied> {
    const began = performance.now()
    const readings = await readFor(
      projection,
      arrived.map(({ recorded }) => recorded),
      openAll,
    )
    const events = arrived.map(({ recorded, reading }, i) => ({
      recorded,
      partition: part.partition,
      // What nobody asks for needs no content.
      reading: (projection.on[recorded.type] && reading) ?? readings[i]!,
    }))
    const client = await pool.connect()
    let failed: Error | undefined
    try {
      const applied = await apply(client, part, arrived, events)
      if (applied.kind !== 'committed') await client.query('rollback')
      return applied
    } catch (error) {
      failed = error as Error
      await client.query('rollback').catch(() => undefined)
      throw error
    } finally {
      client.release(failed)
      observer.transaction((performance.now() - began) / 1000, arrived.length)
    }
  }

  /**
   * Applies a part in one transaction; in several, where PostgreSQL refuses a row: halves of it, until the event is found that leads to
   * that row, and is parked. All others go on.
   */
  async function transact(part: Part, arrived: readonly Arrived[]): Promise<Applied> {
    try {
      return await attempt(part, arrived)
    } catch (error) {
      const [only, ...others] = arrived
      if (!isRowFault(error) || !only || only.reading) throw error
      if (others.length === 0) return attempt(part, [{ ...only, reading: refusedReading(error) }])
      const middle = Math.floor(arrived.length / 2)
      const first = await transact({ ...part, nextOffset: arrived[middle]!.offset }, arrived.slice(0, middle))
      if (first.kind !== 'committed' || first.stop) return first
      const second = await transact(part, arrived.slice(middle))
      if (second.kind !== 'committed' || !second.stop) return second
      return { ...second, stop: { ...second.stop, index: middle + second.stop.index } }
    }
  }

  function outcomeOf(
    applied: Exclude<Applied, { kind: 'committed' }> | { kind: 'committed'; stop: Stop },
    { topic, partition }: TopicPartition,
  ): BatchOutcome {
    const place = { topic, partition }
    if (applied.kind === 'moved') return { kind: 'reposition' }
    if (applied.kind === 'other-version') {
      const reason =
        `version ${applied.version} of ${projection.name} is live, this release folds version ${projection.version}: ` +
        (applied.version < projection.version ? `run \`replay ${projection.name}\`` : 'deploy the release that is live')
      observer.waiting(place, 'other-version-live')
      log.error({ projection: projection.name, ...place }, reason)
      return { kind: 'wait', waitMs: stoppedWaitMs, reason }
    }
    const { offset, because, reason } = applied.stop
    // Both wait for the log.
    observer.waiting(place, because === 'unread' ? 'hole' : because)
    log.error({ projection: projection.name, ...place, offset: String(offset), because }, reason)
    return { kind: 'wait', waitMs: stoppedWaitMs, reason, resumeAt: offset }
  }

  /** Applies what arrived, and what is missing in it, until it is done or something has to wait. */
  async function applyHealing(part: Part, budget: Budget): Promise<BatchOutcome | undefined> {
    let arrived: readonly Arrived[] = await arrivalsOf(part.records, healer, budget, (offset, reason) =>
      onForeign(part, offset, reason),
    )
    let healing: { hole: Hole; events: number } | undefined
    for (;;) {
      const applied = await transact(part, arrived)
      if (applied.kind !== 'committed') return outcomeOf(applied, part)
      const { stop } = applied
      if (healing && (!stop || stop.index >= healing.events)) healer!.healed(healing.hole, healing.events)
      if (!stop) return undefined
      // What was left for the next turn has it at once.
      if (stop.because === 'unread' && budget.contents < 0)
        return { kind: 'wait', waitMs: healingPauseMs, reason: stop.reason, resumeAt: stop.offset }
      const hole = stop.because === 'hole' ? { after: stop.after, before: arrived[stop.index]!.recorded } : undefined
      const missing = hole && (await healer?.missing(hole))
      if (!missing) return outcomeOf({ ...applied, stop }, part)
      if (--budget.healings < 0) {
        return { kind: 'wait', waitMs: healingPauseMs, reason: 'many holes are being healed', resumeAt: stop.offset }
      }
      // Applied in one transaction with the event that came too early, under the same checkpoint.
      healing = { hole: hole!, events: missing.length }
      arrived = [
        ...missing.map((recorded): Arrived => ({ offset: stop.offset, recorded })),
        ...arrived.slice(stop.index),
      ]
    }
  }

  return {
    async positions(assigned) {
      const checkpoints = await loadCheckpoints(pool, tables.checkpoint, assigned)
      return assigned.map((place, i) => {
        const checkpoint = checkpoints[i] ?? { nextOffset: 0n }
        expected.set(placeName(place), checkpoint)
        // 0 stands for "from the beginning", wherever retention has moved that to.
        return checkpoint.nextOffset === 0n ? undefined : checkpoint
      })
    },

    async handle({ topic, partition, topicId, records, nextOffset }) {
      const budget = { healings: healingsPerBatchMax, contents: contentsPerBatchMax }
      for (let from = 0; from < records.length; from += eventsPerTransactionMax) {
        const slice = records.slice(from, from + eventsPerTransactionMax)
        const next = records[from + eventsPerTransactionMax]?.offset ?? nextOffset
        const waiting = await applyHealing({ topic, partition, topicId, records: slice, nextOffset: next }, budget)
        if (waiting) return waiting
      }
      observer.waiting({ topic, partition }, undefined)
      return { kind: 'done' }
    },
  }
}

/** The event at the highest log position beyond `position`; `undefined`: there is none. */
function furthestOf(events: readonly ReadEvent[], position: bigint): RecordedEvent | undefined {
  let furthest: RecordedEvent | undefined
  for (const { recorded } of events) if (recorded.position > (furthest?.position ?? position)) furthest = recorded
  return furthest
}

/**
 * The place that is reached when everything before `stopAt` was handled, or the whole part.
 * @param from where the checkpoint stood: what it tells of the record before holds for as long as nothing of this part was handled.
 */
function reachedIn(
  { topicId, records, nextOffset }: Part,
  stopAt: bigint | undefined,
  from: ReadingPlace,
): ReadingPlace {
  const reached = stopAt ?? nextOffset
  const handled = records.findLast(({ offset }) => offset < reached)
  const before = from.topicId === topicId && from.last && from.last.offset < reached ? from.last : undefined
  const last = handled ? { offset: handled.offset, mark: recordMark(handled) } : before
  return { nextOffset: reached, topicId, ...(last ? { last } : {}) }
}
