import { placeOf, type OpenAll, type RecordedEvent } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import type { TopicPartition } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { isChain } from '../definition/chain'
import type { Projection } from '../definition/projection'
import { prefixesOf } from '../definition/topics'
import { applyNext, readFor, touchedRows, type ReadEvent } from '../fold/fold'
import { ModelMemory } from '../fold/lane-memory'
import { droppedEvents, droppedReading } from '../parking/drops'
import { tablesOf } from '../tables/generation'
import { loadHeads, upsertHeads } from '../tables/head-table'
import {
  inLockOrder,
  laneTables,
  lockLane,
  placeName,
  progressChannel,
  completedOf,
  touchPlaces,
} from '../tables/lane-table'
import { registered, shareGenerationSql } from '../tables/registry'
import { isRowFault, refusedReading } from '../tables/row-fault'
import { rowTable } from '../tables/row-table'
import { insertBlocked, insertParkedOf, tellParked } from './parking'

/** Events applied in one transaction. */
const chunkSize = 2_000
/** So few events behind, the rest is applied while the lane waits, and the read model joins. */
const joinEventsMax = 500
/** Between attempts to join. */
const joinPauseMs = 250
/** The lane waits no longer than this for a read model that joins, in ms. */
const joinMsMax = 2_000
/** Between looks for read models that are not joined. */
const lookEveryMs = 1_000
/** A read model that can not go on is tried again this often; it needs people or a deployment. */
const stoppedWaitMs = 5_000

/** Why a read model that is not joined does not get on. */
export type CatchUpStop = 'newer-version' | 'other-version-live' | 'no-log' | 'other-log' | 'failed'

export interface CatchUpObserver {
  /** `undefined`: it gets on. */
  stopped(projection: string, reason: CatchUpStop | undefined): void
  joined(projection: string, place: TopicPartition): void
}

export interface CatchUpDependencies {
  pool: Pool
  openAll: OpenAll
  log: Logger
  /** Without it nothing catches up. */
  eventLog: CatchUpLog | undefined
  /** Why the log is refused; `undefined`: it is not. Nothing is applied from a log that is. */
  refusal?: () => string | undefined
  observer: CatchUpObserver
}

export type CatchUpLog = Pick<EventLog, 'readAll' | 'readStream' | 'eventAt'>

/** Where a read model that is not joined stands, and the lane beside it. */
interface Standing extends TopicPartition {
  position: bigint
  /** Where it left: the log was read from there on. */
  leftAt: bigint
  lane: bigint
  /** Id of the event at the lane's position; `null`: not known. */
  laneEvent: string | null
  lateSeen: bigint
  complete: string
}

/** Another instance works on the same read model: it goes on. */
class Overtaken extends Error {
  override readonly name = 'Overtaken'
}

/** The read model can not go on for now. */
class Stopped extends Error {
  override readonly name = 'Stopped'
  constructor(
    readonly because: CatchUpStop,
    message: string,
  ) {
    super(message)
  }
}

/** Too much is left to be applied while the lane waits. */
class NotYet extends Error {
  override readonly name = 'NotYet'
}

export interface CatchUp {
  /** Brings every read model that is not joined to where the lane stands, and joins it, as far as that goes now. Never throws. */
  round(): Promise<void>
  /** Rounds for ever. */
  start(): void
  /** There is something to do now. */
  wake(): void
  stop(): Promise<void>
}

/**
 * Read models that are not in the lane catch up from the log by themselves, each in transactions of its own, and join at equal positions:
 * the last few events are applied while the lane waits.
 */
export function createCatchUp(projections: readonly Projection[], deps: CatchUpDependencies): CatchUp {
  const { pool, log, observer, refusal: refusalOf = () => undefined } = deps
  const ending = new AbortController()
  let waking = new AbortController()
  /** When a read model that was stopped is tried again, ms of the process. */
  const notBefore = new Map<string, number>()
  let running: Promise<void> | undefined

  async function catchUp(projection: Projection): Promise<void> {
    const { name, version } = projection
    const live = await registered(pool, name)
    if (live?.version !== version)
      throw new Stopped(
        'other-version-live',
        `version ${live?.version} of ${name} is live, this release folds version ${version}: ` +
          ((live?.version ?? 0) < version ? `run \`replay ${name}\`` : 'deploy the release that is live'),
      )
    if (!deps.eventLog) throw new Stopped('no-log', `${name} catches up from the log: set EVENTSTORE_URL`)
    const follower = new Follower(projection, { ...deps, eventLog: deps.eventLog })
    if (isChain(projection)) return followChain(projection, follower)
    for (let isNear = false; !ending.signal.aborted;) {
      const places = await standingsOf(pool, projection)
      if (places.length === 0) return observer.stopped(name, undefined)
      const refusal = refusalOf()
      if (refusal !== undefined) throw new Stopped('other-log', refusal)
      await follower.requireLogOfLane(places)
      if (isNear && (await follower.join(places))) {
        for (const place of places) {
          observer.joined(name, place)
          log.info(
            { projection: name, topic: place.topic, partition: place.partition },
            'a read model has joined the lane',
          )
        }
        continue
      }
      // Not at once: what kept it from joining is there for a moment.
      if (isNear) await pause(joinPauseMs, ending.signal)
      isNear = (await follower.follow(places, ending.signal)) <= joinEventsMax
    }
  }

  /** A chain never joins: in each round it is brought to where the lane stands then. */
  async function followChain(projection: Projection, follower: Follower): Promise<void> {
    const places = await standingsOf(pool, projection)
    if (places.some(({ position, lane }) => position < lane)) {
      const refusal = refusalOf()
      if (refusal !== undefined) throw new Stopped('other-log', refusal)
      await follower.requireLogOfLane(places)
      await follower.follow(places, ending.signal)
    }
    observer.stopped(projection.name, undefined)
  }

  async function round(): Promise<void> {
    let names: Set<string>
    try {
      const { rows } = await pool.query<{ projection: string }>(
        `select distinct projection from ${laneTables.place} where not joined`,
      )
      names = new Set(rows.map(({ projection }) => projection))
    } catch (error) {
      return log.debug({ err: error }, 'places could not be read')
    }
    // Others may have brought them on.
    for (const { name } of projections) if (!names.has(name)) observer.stopped(name, undefined)
    await Promise.all(
      projections
        .filter(({ name }) => names.has(name) && performance.now() >= (notBefore.get(name) ?? 0))
        .map(async (projection) => {
          const { name } = projection
          try {
            await catchUp(projection)
          } catch (error) {
            if (error instanceof Overtaken || ending.signal.aborted) return
            notBefore.set(name, performance.now() + stoppedWaitMs)
            observer.stopped(name, error instanceof Stopped ? error.because : 'failed')
            log.error(
              error instanceof Stopped
                ? { projection: name, because: error.because }
                : { projection: name, err: error },
              error instanceof Stopped ? error.message : 'a read model could not catch up, trying again',
            )
          }
        }),
    )
  }

  return {
    round,
    start() {
      running ??= (async () => {
        while (!ending.signal.aborted) {
          await round()
          waking = new AbortController()
          await pause(lookEveryMs, AbortSignal.any([ending.signal, waking.signal]))
        }
      })()
    },
    wake: () => waking.abort(),
    async stop() {
      ending.abort()
      await running
    },
  }
}

/** @param held those of them that a transaction is to hold; none where another version is live by now. */
async function standingsOf(
  db: Pool | PoolClient,
  { name, version }: Projection,
  held?: readonly TopicPartition[],
): Promise<Standing[]> {
  const { rows } = await db.query<Standing>(
    `select p.topic, p.partition, p.position, p.left_at as "leftAt", l.position as lane, l.position_event as "laneEvent",
       p.late_seen as "lateSeen", p.complete::text as complete
     from ${laneTables.place} p join ${laneTables.checkpoint} l using (topic, partition)
     join annals.projection r on r.name = p.projection
     where p.projection = $1 and r.version = $2 and not p.joined
     order by p.topic, p.partition ${held ? 'for update of p' : ''}`,
    [name, version],
  )
  return held ? rows.filter((row) => held.some((place) => placeName(place) === placeName(row))) : rows
}

/** An event that the lane applied late, and that lies before where a read model had left it by then. */
interface Late {
  event: RecordedEvent
  /** Of its row in `annals.late_event`. */
  id: bigint
  place: TopicPartition
}

/** What is written of a place. */
interface Reached {
  position: bigint
  eventId: string | undefined
}

/** Applies the log to one read model, from where it stands. */
class Follower {
  constructor(
    private readonly projection: Projection,
    private readonly deps: CatchUpDependencies & { eventLog: CatchUpLog },
  ) {}

  /** @throws Stopped when the log does not have the last event that the lane has applied: it is another one, or was set back. */
  async requireLogOfLane(places: readonly Standing[]): Promise<void> {
    const last = places.filter(({ laneEvent }) => laneEvent !== null).toSorted((a, b) => (a.lane < b.lane ? 1 : -1))[0]
    if (!last || (await this.deps.eventLog.eventAt(last.lane))?.id === last.laneEvent) return
    throw new Stopped('other-log', `the log does not have event ${last.laneEvent}, which the lane has applied`)
  }

  /**
   * Applies what the lane has applied by now.
   * @returns events gone through.
   */
  async follow(places: readonly Standing[], signal: AbortSignal): Promise<number> {
    const standing = new Map(places.map((place) => [placeName(place), { ...place }]))
    // One by one: there are few, and each is applied together with the note that it was.
    for (const late of await this.#late(this.deps.pool, places))
      await this.#apply(places, [late.event], new Map(), late)
    let chunk: RecordedEvent[] = []
    let count = 0
    const apply = async (isLast: boolean) => {
      count += chunk.length
      const reached = new Map<string, Reached>()
      for (const { stream, position, id } of chunk) reach(reached, placeName(placeOf(stream)!), position, id)
      // What the lane has passed is passed here as well, when all of the log up to there was read.
      if (isLast) for (const [name, { lane }] of standing) reach(reached, name, lane, undefined)
      await this.#applyCarefully([...standing.values()], chunk, reached)
      for (const [name, { position }] of reached) {
        const place = standing.get(name)!
        if (position > place.position) place.position = position
      }
      chunk = []
    }
    for await (const event of this.#between(places)) {
      signal.throwIfAborted()
      if (chunk.push(event) >= chunkSize) await apply(false)
    }
    await apply(true)
    return count
  }

  /**
   * Applies the rest while the lane waits, and joins.
   * @returns `false`: too much was left, or something could not be applied as easily as that; nothing has changed.
   */
  async join(places: readonly Standing[]): Promise<boolean> {
    const { pool } = this.deps
    const { name } = this.projection
    try {
      let memory: ModelMemory | undefined
      await inTransaction(pool, async (client) => {
        await client.query(`set local lock_timeout = '${joinMsMax}ms'; ${shareGenerationSql(name)}`)
        await lockLane(client, inLockOrder(places))
        const held = await standingsOf(client, this.projection, places)
        if (held.length < places.length)
          throw new Overtaken('another instance has joined it, or another version is live')
        const events = await withinJoin(async () => {
          const found = (await this.#late(client, held)).map(({ event }) => event)
          for await (const event of this.#between(held)) {
            if (found.push(event) > joinEventsMax) throw new NotYet('more has come meanwhile')
          }
          return found
        })
        const { memory: folded, stop } = await this.#fold(client, events)
        if (stop) throw new NotYet(stop.reason)
        await this.#write(client, folded)
        await client.query(
          `update ${laneTables.place} p set joined = true, reason = null, position = l.position, updated_at = now(),
             complete = p.complete + int8multirange(int8range(p.left_at, greatest(p.left_at, l.position), '(]')),
             late_seen = (select coalesce(max(id), 0) from ${laneTables.late})
           from ${laneTables.checkpoint} l, unnest($2::text[], $3::integer[]) as v (topic, partition)
           where p.projection = $1 and p.topic = v.topic and p.partition = v.partition
             and l.topic = v.topic and l.partition = v.partition`,
          [name, held.map(({ topic }) => topic), held.map(({ partition }) => partition)],
        )
        await touchPlaces(client, held)
        await client.query(`select pg_notify('${progressChannel}', '')`)
        memory = folded
      })
      if (memory) tellParked(this.deps.log, memory)
      return true
    } catch (error) {
      if (error instanceof NotYet || isRowFault(error) || (error as { code?: unknown }).code === '55P03') return false
      throw error
    }
  }

  /** Events of the log that lie between where these places stand and where the lane does. */
  async *#between(places: readonly Standing[]): AsyncGenerator<RecordedEvent> {
    const by = new Map(places.map((place) => [placeName(place), place]))
    const behind = places.filter(({ position, lane }) => position < lane)
    if (behind.length === 0) return
    const from = behind.map(({ position }) => position).reduce((a, b) => (a < b ? a : b))
    const end = behind.map(({ lane }) => lane).reduce((a, b) => (a > b ? a : b))
    const topics = [...new Set(behind.map(({ topic }) => topic as Projection['topics'][number]))]
    for await (const event of this.deps.eventLog.readAll({
      after: from < 0n ? undefined : from,
      prefixes: prefixesOf(topics),
    })) {
      if (event.position > end) return
      const place = placeOf(event.stream)
      const standing = place && by.get(placeName(place))
      if (standing && event.position > standing.position && event.position <= standing.lane) yield event
    }
  }

  /** Events that the lane has applied late since this read model left it, and that lie before where it left. */
  async #late(db: Pool | PoolClient, places: readonly Standing[]): Promise<Late[]> {
    // A chain has read all of the log up to where it stands, whatever the lane has missed.
    if (isChain(this.projection)) return []
    const { rows } = await db.query<
      TopicPartition & { id: bigint; stream: string; revision: bigint; position: bigint }
    >(
      `select h.id, h.topic, h.partition, h.stream, h.revision, h.position
       from ${laneTables.late} h join unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[]) as v (topic, partition, seen, left_at)
         on v.topic = h.topic and v.partition = h.partition and h.id > v.seen and h.position <= v.left_at
       order by h.id`,
      [
        places.map(({ topic }) => topic),
        places.map(({ partition }) => partition),
        places.map(({ lateSeen }) => lateSeen),
        places.map(({ leftAt }) => leftAt),
      ],
    )
    const late: Late[] = []
    for (const { id, stream, revision, position, ...place } of rows) {
      const { complete } = places.find((one) => placeName(one) === placeName(place))!
      if (completedOf(complete).has(position)) continue
      const [event] = await this.deps.eventLog.readStream(stream, Number(revision), 1)
      if (event) late.push({ event, id, place })
    }
    return late
  }

  /** Halves of a chunk where PostgreSQL refuses a row, until the event is found that leads to it, and is parked. */
  async #applyCarefully(
    places: readonly Standing[],
    events: readonly RecordedEvent[],
    reached: ReadonlyMap<string, Reached>,
  ): Promise<void> {
    try {
      await this.#apply(places, events, reached)
    } catch (error) {
      // Of a chain nothing is parked: it waits for people.
      if (!isRowFault(error) || events.length === 0 || isChain(this.projection)) throw error
      if (events.length === 1) return this.#apply(places, events, reached, undefined, error)
      const middle = Math.floor(events.length / 2)
      const first = new Map<string, Reached>()
      for (const { stream, position, id } of events.slice(0, middle))
        reach(first, placeName(placeOf(stream)!), position, id)
      await this.#applyCarefully(places, events.slice(0, middle), first)
      const moved = places.map((place) => {
        const { position } = first.get(placeName(place)) ?? place
        return position > place.position ? { ...place, position } : place
      })
      await this.#applyCarefully(moved, events.slice(middle), reached)
    }
  }

  /**
   * One transaction.
   * @param late what the only event is, if the lane applied it late.
   * @param refused why the only event's row was refused.
   */
  async #apply(
    places: readonly Standing[],
    events: readonly RecordedEvent[],
    reached: ReadonlyMap<string, Reached>,
    late?: Late,
    refused?: unknown,
  ): Promise<void> {
    const { name } = this.projection
    let stopped: { reason: string } | undefined
    let memory: ModelMemory | undefined
    await inTransaction(this.deps.pool, async (client) => {
      await client.query(`set local synchronous_commit = off; ${shareGenerationSql(name)}`)
      const held = await standingsOf(client, this.projection, places)
      for (const place of places) {
        const found = held.find((one) => placeName(one) === placeName(place))
        if (found?.position !== place.position) throw new Overtaken(`another instance brings ${name} on`)
      }
      const folded = await this.#fold(client, events, refused)
      memory = folded.memory
      let to = reached
      if (folded.stop) {
        stopped = folded.stop
        const part = new Map<string, Reached>()
        for (const { stream, position, id } of events.slice(0, folded.stop.index))
          reach(part, placeName(placeOf(stream)!), position, id)
        to = part
      }
      await this.#write(client, folded.memory)
      const moved = held.filter((place) => to.has(placeName(place)))
      await client.query(
        `update ${laneTables.place} p
         set position = greatest(p.position, v.position), position_event = coalesce(v.event, p.position_event), updated_at = now()
         from unnest($2::text[], $3::integer[], $4::bigint[], $5::text[]) as v (topic, partition, position, event)
         where p.projection = $1 and p.topic = v.topic and p.partition = v.partition`,
        [
          name,
          moved.map(({ topic }) => topic),
          moved.map(({ partition }) => partition),
          moved.map((place) => to.get(placeName(place))!.position),
          moved.map((place) => to.get(placeName(place))!.eventId ?? null),
        ],
      )
      if (late && !folded.stop)
        await client.query(
          `update ${laneTables.place} set late_seen = $4 where projection = $1 and topic = $2 and partition = $3`,
          [name, late.place.topic, late.place.partition, late.id],
        )
    })
    if (memory) tellParked(this.deps.log, memory)
    if (stopped) throw new Stopped('newer-version', stopped.reason)
  }

  async #fold(client: PoolClient, recorded: readonly RecordedEvent[], refused?: unknown) {
    const { projection } = this
    const heads = isChain(projection) ? await loadHeads(client, tablesOf(projection, 'live').head) : undefined
    const memory = new ModelMemory(projection, heads)
    if (recorded.length === 0) return { memory, stop: undefined }
    const readings = await readFor(projection, recorded, this.deps.openAll)
    const dropped = await droppedEvents(client, projection)
    const events = recorded.map((event, i): ReadEvent => ({
      recorded: event,
      partition: placeOf(event.stream)!.partition,
      reading: dropped.has(event.id) ? droppedReading : refused === undefined ? readings[i]! : refusedReading(refused),
    }))
    const { rows: blocked } = await client.query<{ stream: string }>(
      `select stream from ${laneTables.blocked} where projection = $1 and stream = any($2::text[])`,
      [projection.name, [...new Set(recorded.map(({ stream }) => stream))]],
    )
    for (const { stream } of blocked) memory.blocked.add(stream)
    const table = rowTable(projection, tablesOf(projection, 'live').rows)
    for (const row of await table.load(client, touchedRows(projection, events))) memory.load(row)
    for (const [index, event] of events.entries()) {
      const verdict = applyNext(projection, memory, event, memory.blocked.has(event.recorded.stream))
      if (verdict.kind === 'stop') return { memory, stop: { index, reason: verdict.reason } }
    }
    return { memory, stop: undefined }
  }

  async #write(client: PoolClient, memory: ModelMemory): Promise<void> {
    const tables = tablesOf(this.projection, 'live')
    await rowTable(this.projection, tables.rows).upsert(client, memory.changed)
    if (isChain(this.projection)) await upsertHeads(client, tables.head, memory.heads)
    await insertParkedOf(client, memory)
    await insertBlocked(client, memory)
  }
}

function reach(reached: Map<string, Reached>, name: string, position: bigint, eventId: string | undefined): void {
  const before = reached.get(name)
  if (!before || position > before.position) reached.set(name, { position, eventId })
}

/** @throws NotYet when the log does not answer soon: the lane does not wait for it. */
async function withinJoin<T>(work: () => Promise<T>): Promise<T> {
  const late = new AbortController()
  const timeout = pause(joinMsMax, late.signal).then(() => {
    if (!late.signal.aborted) throw new NotYet('the log does not answer in time')
    return undefined as never
  })
  const working = work()
  working.catch(() => undefined)
  timeout.catch(() => undefined)
  try {
    return await Promise.race([working, timeout.then(() => working)])
  } finally {
    late.abort()
  }
}
