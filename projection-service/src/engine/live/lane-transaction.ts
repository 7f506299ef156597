import type { OpenAll } from '@annals/contracts'
import { isSamePlace, type Checkpoint, type ReadingPlace } from '@annals/platform/checkpoint'
import type { TopicPartition } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { isTransientPostgresError, type Pool, type PoolClient } from '@annals/platform/postgres'
import type { Projection } from '../definition/projection'
import { touchedRows, type ReadEvent, type Verdict } from '../fold/fold'
import { ModelMemory } from '../fold/lane-memory'
import { LaneStatements } from '../tables/lane-statements'
import {
  inLockOrder,
  laneTables,
  leaveLane,
  loadPlaces,
  lockedLanes,
  lockLaneSql,
  placeName,
  completedOf,
  type LockedLane,
} from '../tables/lane-table'
import { registeredVersions } from '../tables/registry'
import { refusalWords } from '../tables/row-fault'
import { CanNotFollow, foldPart, type Counts, type LaneMemory, type Member } from './lane-fold'
import { insertBlocked, insertParkedOf, tellParked } from './parking'
import { furthestOf, reachedIn, type Applied, type ArrivedPart } from './part'
import { Handlers, readForAll, type Readings } from './reading'

/**
 * An instance that is frozen in the middle of a transaction holds its partitions' checkpoints, and whoever has taken a
 * partition over waits for them: the server ends such a transaction. Between two statements lies one fold, of milliseconds.
 */
const frozenMsMax = 10_000

/** What transactions tell about themselves. */
export interface TransactionObserver {
  applied(projection: string, verdict: Exclude<Verdict['kind'], 'stop'>, count: number): void
  transaction(seconds: number, events: number): void
  /** A read model left the lane at a partition. */
  left(projection: string, place: TopicPartition): void
}

export interface TransactionDependencies {
  pool: Pool
  openAll: OpenAll
  log: Logger
  observer: TransactionObserver
}

interface LockedPart extends ArrivedPart {
  lane: LockedLane
  /** Index of its first event among all of the transaction. */
  from: number
}

interface HeldPart extends LockedPart {
  members: readonly Member[]
}

/** Read models that leave, by `topic/partition`, and why. */
type Leaving = Map<string, Map<string, string>>

/**
 * How a transaction is done: all read models in one statement, or, after that has failed, each in one of its own, so that the one that
 * fails is found and leaves.
 */
type Manner = 'together' | 'apart'

/** Not waiting for the disk: what PostgreSQL loses in a crash is lost whole, checkpoints and rows, and is done again. No
 * sequential scans: everything here goes by key, and plans that were kept from when a table was small must not say otherwise. */
const beginSql = `begin; set local synchronous_commit = off; set local enable_seqscan = off;
  set local plan_cache_mode = force_generic_plan; set local idle_in_transaction_session_timeout = ${frozenMsMax};`

/** Folds and writes parts of batches, each transaction with the checkpoints of all its partitions. */
export class LaneTransactions {
  /** Where this instance left each partition's checkpoint: what its next transaction must find. */
  readonly #expected = new Map<string, ReadingPlace>()
  /** Who is joined in a partition, as of an epoch of its places. */
  readonly #joined = new Map<string, { epoch: bigint; members: readonly Member[]; strangers: readonly string[] }>()
  readonly #statements = new LaneStatements()
  readonly #handlers: Handlers

  constructor(
    private readonly projections: readonly Projection[],
    private readonly deps: TransactionDependencies,
  ) {
    this.#handlers = new Handlers(projections)
  }

  /** What the next transaction of a partition must find. */
  expect(place: TopicPartition, checkpoint: ReadingPlace): void {
    this.#expected.set(placeName(place), checkpoint)
  }

  /**
   * Applies parts of different partitions in one transaction. A read model that can not follow leaves the lane, and the others go on.
   * @returns what became of each part, in order.
   */
  async apply(parts: readonly ArrivedPart[]): Promise<Applied[]> {
    const began = performance.now()
    const ordered = inLockOrder(parts.map((one) => ({ ...one.part, one }))).map(({ one }) => one)
    const readings = await readForAll(this.#handlers, ordered, this.deps.openAll)
    const leaving: Leaving = new Map()
    let manner: Manner = 'together'
    for (;;) {
      try {
        const applied = await this.#attempt(ordered, readings, leaving, manner)
        const count = parts.reduce((sum, { arrived }) => sum + arrived.length, 0)
        this.deps.observer.transaction((performance.now() - began) / 1000, count)
        return parts.map((part) => applied.get(part)!)
      } catch (error) {
        if (error instanceof CanNotFollow) leave(leaving, error.projection.name, error.place, error.message)
        else if (manner === 'together' && isRefusal(error)) manner = 'apart'
        else throw error
      }
    }
  }

  async #attempt(
    parts: readonly ArrivedPart[],
    readings: Readings,
    leaving: Leaving,
    manner: Manner,
  ): Promise<Map<ArrivedPart, Applied>> {
    const client = await this.deps.pool.connect()
    let failed: Error | undefined
    try {
      const applied = await this.#write(client, parts, readings, leaving, manner)
      if (![...applied.values()].some(({ kind }) => kind === 'committed')) await client.query('rollback')
      return applied
    } catch (error) {
      failed = error as Error
      const isUsable = error instanceof CanNotFollow || isRefusal(error)
      await client.query('rollback').catch(() => undefined)
      if (isUsable) failed = undefined
      throw error
    } finally {
      client.release(failed)
    }
  }

  async #write(
    client: PoolClient,
    parts: readonly ArrivedPart[],
    readings: Readings,
    leaving: Leaving,
    manner: Manner,
  ): Promise<Map<ArrivedPart, Applied>> {
    const results = new Map<ArrivedPart, Applied>()
    const answers = (await client.query(`${beginSql} ${lockLaneSql(parts.map(({ part }) => part))}`)) as unknown as {
      rows: object[]
    }[]
    const lanes = new Map(lockedLanes(answers.at(-1)!.rows).map((lane) => [placeName(lane), lane]))
    const locked: LockedPart[] = []
    let from = 0
    for (const one of parts) {
      const lane = lanes.get(placeName(one.part))
      if (!lane) throw new Error(`the lane has no checkpoint for ${placeName(one.part)}`)
      if (isSamePlace(lane.checkpoint, this.#expected.get(placeName(one.part)))) locked.push({ ...one, lane, from })
      else results.set(one, { kind: 'moved' })
      from += one.arrived.length
    }
    if (locked.length === 0) return results

    const joined = await this.#membersOf(client, locked, leaving)
    const held = locked.map((one, i): HeldPart => ({ ...one, members: joined[i]! }))
    const { memory, lost } = await this.#load(client, held, readings, manner)
    leaveAll(leaving, lost, held)
    const counts: Counts = new Map()
    const folded = held.map((one) => ({
      ...one,
      ...foldPart(one.part, one.arrived, {
        from: one.from,
        reached: one.lane.checkpoint.position,
        members: one.members.filter(({ projection }) => !lost.has(projection)),
        readings,
        handlers: this.#handlers,
        memory,
        counts,
      }),
    }))

    const checkpoints = folded.map(({ part, arrived, lane, stop }) => {
      const end = stop ? stop.index : arrived.length
      const reached = reachedIn(part, stop && arrived[end]!.offset, lane.checkpoint)
      // What was published again, or heals a hole, is older than what has been applied: the position never goes back.
      const furthest = furthestOf(arrived.slice(0, end), lane.checkpoint.position)
      const to: Checkpoint = { ...reached, position: furthest?.position ?? lane.checkpoint.position }
      return { topic: part.topic, partition: part.partition, to, eventId: furthest?.id }
    })
    await this.#leave(client, leaving, held)
    await insertLate(
      client,
      folded.flatMap(({ part, late }) => late.map((recorded) => ({ part, recorded }))),
    )
    const models = [...memory.models.values()].filter(({ projection }) => !lost.has(projection))
    const failed = await this.#writeModels(client, models, memory, checkpoints, manner)
    if (failed.size > 0) {
      leaveAll(leaving, failed, held)
      // Folded once more without them: some of their events may have been parked, or counted.
      await client.query('rollback')
      return this.#write(client, parts, readings, leaving, manner)
    }
    await client.query('commit')

    for (const [i, { part, stop }] of folded.entries()) {
      const { to } = checkpoints[i]!
      this.#expected.set(placeName(part), to)
      results.set(
        parts.find((one) => one.part === part)!,
        { kind: 'committed', ...(stop ? { stop: { ...stop, offset: to.nextOffset } } : {}) },
      )
    }
    this.#tell(models, counts, leaving)
    return results
  }

  /** Who is joined in each part, without those that leave. Whoever is joined and not known here leaves: it would miss what is applied. */
  async #membersOf(client: PoolClient, held: readonly LockedPart[], leaving: Leaving): Promise<Member[][]> {
    const stale = held.filter(({ part, lane }) => this.#joined.get(placeName(part))?.epoch !== lane.placesEpoch)
    if (stale.length > 0) {
      const rows = await loadPlaces(
        client,
        stale.map(({ part }) => part),
      )
      const versions = await registeredVersions(client)
      for (const { part, lane } of stale) {
        const own = rows.filter(
          ({ topic, partition, joined }) => joined && topic === part.topic && partition === part.partition,
        )
        const members: Member[] = []
        const strangers: string[] = []
        for (const { projection: name, complete } of own) {
          const projection = this.projections.find((one) => one.name === name)
          if (projection && versions.get(name) === projection.version)
            members.push({ projection, completed: completedOf(complete) })
          else strangers.push(name)
        }
        this.#joined.set(placeName(part), { epoch: lane.placesEpoch, members, strangers })
      }
    }
    return held.map(({ part }) => {
      const { members, strangers } = this.#joined.get(placeName(part))!
      for (const name of strangers) leave(leaving, name, part, 'this projector does not feed the version that is live')
      const gone = leaving.get(placeName(part))
      return members.filter(({ projection }) => !gone?.has(projection.name))
    })
  }

  async #leave(client: PoolClient, leaving: Leaving, held: readonly HeldPart[]): Promise<void> {
    for (const { part } of held)
      for (const [projection, reason] of leaving.get(placeName(part)) ?? [])
        await leaveLane(client, projection, [part], reason)
  }

  /** @returns what is folded into, and the read models that could not be loaded. */
  async #load(client: PoolClient, held: readonly HeldPart[], readings: Readings, manner: Manner) {
    const streams = new Set(held.flatMap(({ arrived }) => arrived.map(({ recorded }) => recorded.stream)))
    const models = new Map<Projection, ModelMemory>()
    const wanted = new Map<Projection, ReadEvent[]>()
    for (const { arrived, members, from } of held) {
      const end = from + arrived.length
      for (const { projection } of members) {
        if (!models.has(projection)) models.set(projection, new ModelMemory(projection))
        const own = readings.get(projection)
        if (!own) continue
        const events = wanted.get(projection) ?? []
        wanted.set(projection, events)
        for (const i of own.indexes) if (i >= from && i < end) events.push(own.events[i]!)
      }
    }
    const asked = [...wanted]
      .map(([projection, events]) => ({ projection, keys: touchedRows(projection, events) }))
      .filter(({ keys }) => keys.length > 0)
    const lost = new Map<Projection, string>()
    const memory: LaneMemory = { streams: new Map(), changedStreams: new Map(), models }
    const take = ({ streams: found, blocked, rows }: Awaited<ReturnType<LaneStatements['load']>>, of: typeof asked) => {
      for (const [stream, revision] of found) memory.streams.set(stream, revision)
      for (const { stream, projection } of blocked)
        for (const model of models.values()) if (model.projection.name === projection) model.blocked.add(stream)
      for (const [i, { projection }] of of.entries()) for (const row of rows[i]!) models.get(projection)!.load(row)
    }
    if (manner === 'together') {
      take(await this.#statements.load(client, [...streams], asked), asked)
      return { memory, lost }
    }
    take(await this.#statements.load(client, [...streams], []), [])
    for (const one of asked) {
      const error = await attempted(client, async () => take(await this.#statements.load(client, [], [one]), [one]))
      if (error) lost.set(one.projection, refusalWords(error))
    }
    return { memory, lost }
  }

  /** @returns the read models whose rows could not be written. */
  async #writeModels(
    client: PoolClient,
    models: readonly ModelMemory[],
    { changedStreams: streams }: LaneMemory,
    checkpoints: Parameters<LaneStatements['write']>[1]['checkpoints'],
    manner: Manner,
  ): Promise<Map<Projection, string>> {
    const failed = new Map<Projection, string>()
    for (const model of models) {
      await insertParkedOf(client, model)
      await insertBlocked(client, model)
    }
    const changed = models
      .map(({ projection, changed: rows }) => ({ projection, rows }))
      .filter(({ rows }) => rows.length > 0)
    if (manner === 'apart')
      for (const one of changed) {
        const nothing = { streams: new Map(), checkpoints: [] }
        const error = await attempted(client, () => this.#statements.write(client, { rows: [one], ...nothing }))
        if (error) failed.set(one.projection, refusalWords(error))
      }
    if (failed.size === 0)
      await this.#statements.write(client, { rows: manner === 'apart' ? [] : changed, streams, checkpoints })
    return failed
  }

  /** After the commit: until then nothing has happened. */
  #tell(models: readonly ModelMemory[], counts: Counts, leaving: Leaving): void {
    const { observer, log } = this.deps
    for (const [{ name }, own] of counts) for (const [verdict, count] of own) observer.applied(name, verdict, count)
    for (const model of models) tellParked(log, model)
    for (const [place, gone] of leaving) {
      const [topic, partition] = place.split('/') as [string, string]
      for (const [projection, reason] of gone) {
        observer.left(projection, { topic, partition: Number(partition) })
        log.warn({ projection, topic, partition: Number(partition), reason }, 'a read model has left the lane')
      }
    }
  }
}

function leave(leaving: Leaving, projection: string, place: TopicPartition, reason: string): void {
  const name = placeName(place)
  const gone = leaving.get(name) ?? new Map<string, string>()
  leaving.set(name, gone)
  if (!gone.has(projection)) gone.set(projection, reason)
}

/** Those that could not be loaded or written leave wherever they are joined. */
function leaveAll(leaving: Leaving, lost: ReadonlyMap<Projection, string>, held: readonly HeldPart[]): void {
  for (const { part, members } of held)
    for (const { projection } of members) {
      const reason = lost.get(projection)
      if (reason !== undefined) leave(leaving, projection.name, part, reason)
    }
}

/** Whether PostgreSQL has refused a statement, and would refuse it again: not one that could not be asked. */
const isRefusal = (error: unknown): boolean =>
  typeof (error as { code?: unknown } | null)?.code === 'string' &&
  /^[0-9A-Z]{5}$/.test((error as { code: string }).code) &&
  !isTransientPostgresError(error)

/** Runs statements that may be refused without the transaction being lost. @returns the refusal. @throws all else. */
async function attempted(client: PoolClient, work: () => Promise<void>): Promise<Error | undefined> {
  await client.query('savepoint read_model')
  try {
    await work()
    await client.query('release savepoint read_model')
    return undefined
  } catch (error) {
    if (!isRefusal(error)) throw error
    await client.query('rollback to savepoint read_model')
    return error as Error
  }
}

async function insertLate(
  client: PoolClient,
  late: readonly { part: TopicPartition; recorded: { stream: string; revision: number; position: bigint } }[],
): Promise<void> {
  if (late.length === 0) return
  await client.query(
    `insert into ${laneTables.late} (topic, partition, stream, revision, position)
     select * from unnest($1::text[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[])`,
    [
      late.map(({ part }) => part.topic),
      late.map(({ part }) => part.partition),
      late.map(({ recorded }) => recorded.stream),
      late.map(({ recorded }) => recorded.revision),
      late.map(({ recorded }) => recorded.position),
    ],
  )
}
