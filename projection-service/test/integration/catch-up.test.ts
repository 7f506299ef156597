import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import { placeOf, type RecordedEvent } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import { createHealer } from '@annals/platform/healing'
import { inTransaction } from '@annals/platform/postgres'
import { eventually } from '@annals/platform/testing'
import { createCatchUp, type CatchUpLog, type CatchUpStop } from '../../src/engine/live/catch-up'
import { createLane } from '../../src/engine/live/lane'
import { retryParked } from '../../src/engine/parking/parked'
import type { Projection } from '../../src/engine/definition/projection'
import { placesOf } from '../../src/engine/tables/generation'
import { inLockOrder, leaveLane, lockLane } from '../../src/engine/tables/lane-table'
import { installProjection } from '../../src/engine/tables/registry'
import { payments, paymentHistory, paymentTotals } from '../../src/projections'
import { compareStream } from '../../src/drift/stream-comparison'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { rollBack } from '../../src/replay/rebuild/swap'
import { silent } from '../support/database'
import { batchOf, opensNothing } from '../support/facts'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { nobody } from '../support/read-models'

jest.setTimeout(60_000)

const world = useOwnWorld()
const members = [payments, paymentHistory, paymentTotals] as const

let offsets: Map<string, bigint>
beforeEach(async () => {
  offsets = new Map()
  for (const projection of members) await installProjection(world.database.pool, projection)
})

const sql = async <Row extends object>(text: string, values: unknown[] = []) =>
  (await world.database.pool.query<Row>(text, values)).rows

/** The lane and what catches up beside it, as one projector runs them; fed by hand. */
function projector(projections: readonly Projection[] = members, eventLog: CatchUpLog = world.own.log) {
  const { pool } = world.database
  const left: string[] = []
  const stopped: (CatchUpStop | undefined)[] = []
  const observer = {
    ...nobody,
    left: (projection: string) => left.push(projection),
    stopped: (_: string, reason: CatchUpStop | undefined) => stopped.push(reason),
  }
  const healer = createHealer({ eventLog: world.own.log, log: silent, onOutcome: () => undefined })
  const lane = createLane(projections, { pool, openAll: opensNothing, log: silent, observer, healer })
  const catchUp = createCatchUp(projections, {
    pool,
    openAll: opensNothing,
    log: silent,
    eventLog,
    observer,
  })
  return {
    left,
    stopped,
    catchUp,
    /** Each event at the next offset of its partition. */
    async feed(events: readonly RecordedEvent[]) {
      const places = new Map<string, RecordedEvent[]>()
      for (const event of events) {
        const { topic, partition } = placeOf(event.stream)!
        const name = `${topic}/${partition}`
        places.set(name, [...(places.get(name) ?? []), event])
      }
      const outcomes = await Promise.all(
        [...places].map(async ([name, own]) => {
          const [topic, partition] = name.split('/') as [string, string]
          await lane.positions([{ topic, partition: Number(partition) }])
          const batch = batchOf(own, offsets.get(name) ?? 0n, Number(partition))
          const outcome = await lane.handle(batch)
          if (outcome.kind === 'done') offsets.set(name, batch.nextOffset)
          return outcome.kind
        }),
      )
      expect(new Set(outcomes)).toEqual(new Set(['done']))
    },
  }
}

const outside = async () =>
  (
    await sql<{ projection: string }>(
      'select distinct projection from annals.place where not joined order by projection',
    )
  ).map(({ projection }) => projection)

/** As an operator's mistake would have it: it leaves in every partition. */
const leaveAll = (projection: Projection) =>
  inTransaction(world.database.pool, async (client) => {
    const places = placesOf(projection)
    await lockLane(client, places)
    await leaveLane(client, projection.name, places, 'a test')
  })

/** What each read model has of completed payments, counted in three ways. */
async function completed(): Promise<number[]> {
  const [row] = await sql<{ payments: bigint; history: bigint; totals: bigint }>(
    `select (select count(*) from payments.payment where status = 'completed') as payments,
       (select count(*) from payment_history.payment_event where type = 'payment.processed') as history,
       (select coalesce(sum(completed_count), 0)::bigint from payment_totals.payment_total) as totals`,
  )
  return [row!.payments, row!.history, row!.totals].map(Number)
}

/** Rows of every read model are those of a fresh fold of the log. */
async function nothingDiffers(events: readonly RecordedEvent[]): Promise<void> {
  const deps = { pool: world.database.pool, log: world.own.log, openAll: opensNothing }
  for (const projection of members)
    for (const stream of new Set(events.map((event) => event.stream)))
      expect([projection.name, stream, await compareStream(projection, 'live', stream, deps)]).toEqual([
        projection.name,
        stream,
        { kind: 'same' },
      ])
}

describe('a read model whose statement fails', () => {
  it('leaves within one batch, stops no other, and joins again when it can', async () => {
    const { feed, left, catchUp } = projector()
    const first = (await world.own.pay(10)).events
    await feed(first)
    await sql('alter table payments.payment rename to elsewhere')
    const second = (await world.own.pay(10)).events
    await feed(second)
    expect(new Set(left)).toEqual(new Set(['payments']))
    expect(await outside()).toEqual(['payments'])
    const [totals] = await sql<{ n: string }>('select sum(completed_count) as n from payment_totals.payment_total')
    expect(Number(totals!.n)).toBe(20)
    // It can not catch up either, for now.
    await catchUp.round()
    expect(await outside()).toEqual(['payments'])

    await sql('alter table payments.elsewhere rename to payment')
    const third = (await world.own.pay(5)).events
    await feed(third)
    await eventually(
      async () => {
        await catchUp.round()
        expect(await outside()).toEqual([])
      },
      { withinMs: 20_000 },
    )
    expect(await completed()).toEqual([25, 25, 25])
    const fourth = (await world.own.pay(5)).events
    await feed(fourth)
    expect(await completed()).toEqual([30, 30, 30])
    await nothingDiffers([...first, ...second, ...third, ...fourth])
  })

  it('parks the event alone whose row PostgreSQL refuses', async () => {
    const { feed, left, catchUp } = projector()
    const { events, payments: paid } = await world.own.pay(12)
    // Of the two newest: a rule of the table (class 23), and a value that can not be (22).
    const [ruled, unfit] = [paid[3]!, paid[8]!]
    await sql(`alter table payments.payment add constraint not_this check (payment_id <> '${ruled.paymentId}')`)
    await sql(`create function payments.refuse() returns trigger language plpgsql as
      $$ begin raise exception 'secret' using errcode = '22008'; end $$`)
    await sql(`create trigger refuse before insert or update on payments.payment for each row
      when (new.payment_id = '${unfit.paymentId}') execute function payments.refuse()`)
    await feed(events)
    expect(new Set(left)).toEqual(new Set(['payments']))
    await catchUp.round()
    expect(await outside()).toEqual([])
    expect(await completed()).toEqual([10, 12, 12])
    const parked = await sql<{ error: string }>(
      'select error from payments.parked where error is not null order by error',
    )
    expect(parked).toEqual([
      { error: expect.stringMatching(/SQLSTATE 22008$/) },
      { error: expect.stringMatching(/SQLSTATE 23514 \(table payment, constraint not_this\)$/) },
    ])
    // What is retried is refused again, and keeps its place; what could be mended is applied.
    const { pool } = world.database
    expect(await retryParked(pool, payments, unfit.stream, opensNothing, 'test')).toMatchObject({ applied: 0 })
    await sql('alter table payments.payment drop constraint not_this')
    await sql('drop trigger refuse on payments.payment')
    for (const { stream } of [ruled, unfit])
      expect(await retryParked(pool, payments, stream, opensNothing, 'test')).toEqual({ applied: 3, error: undefined })
    expect(await completed()).toEqual([12, 12, 12])
    await nothingDiffers(events)
  })
})

describe('a read model that a newer release feeds', () => {
  it('waits alone at an event that is too new for it, and goes on with the release that reads it', async () => {
    const { feed, catchUp, stopped } = projector()
    const { events } = await world.own.pay(6)
    /** Knows no `payment.process_started` yet: its history is that of a former release. */
    const [started] = events.filter(({ type }) => type === 'payment.process_started')
    const newer = { ...started!, metadata: { ...(started!.metadata as object), schemaVersion: 99 } }
    // In the order of the log, as the relay publishes it.
    await feed(events.filter(({ position }) => position < newer.position))
    await feed(
      events
        .filter(({ position }) => position >= newer.position)
        .map((event) => (event.id === newer.id ? newer : event)),
    )
    // The third one does not read this type.
    expect(await outside()).toEqual(['payment_history', 'payments'])
    await catchUp.round()
    // The log holds it in a version that can be read.
    expect(await outside()).toEqual([])
    expect(stopped.every((reason) => reason === undefined)).toBe(true)
    expect(await completed()).toEqual([6, 6, 6])
    await nothingDiffers(events)
  })

  it('leaves where another version of it is live', async () => {
    const { feed } = projector()
    await sql(`update annals.projection set version = version + 1 where name = 'payments'`)
    await sql('update annals.lane_checkpoint set places_epoch = places_epoch + 1')
    const { events } = await world.own.pay(4)
    await feed(events)
    expect(await outside()).toEqual(['payments'])
    const old = projector()
    await old.catchUp.round()
    expect(old.stopped.filter(Boolean)).toEqual(['other-version-live'])
    await sql(`update annals.projection set version = version - 1 where name = 'payments'`)
    await projector().catchUp.round()
    expect(await outside()).toEqual([])
    await nothingDiffers(events)
  })

  it('leaves rather than misses what a projector applies that does not know it', async () => {
    const { feed } = projector([payments, paymentTotals])
    const { events } = await world.own.pay(8)
    await feed(events)
    expect(await outside()).toEqual(['payment_history'])
    await projector().catchUp.round()
    expect(await outside()).toEqual([])
    expect(await completed()).toEqual([8, 8, 8])
    await nothingDiffers(events)
  })
})

describe('a log that is not the one the lane has read', () => {
  it('is not read by who catches up: while it is refused, and while it lacks what the lane has applied', async () => {
    const { feed } = projector()
    const { events } = await world.own.pay(4)
    await feed(events)
    await leaveAll(payments)
    const { events: more } = await world.own.pay(4)
    await feed(more)
    const catchUpWith = async (over: { refusal?: () => string; lacks?: boolean }) => {
      const stopped: (CatchUpStop | undefined)[] = []
      await createCatchUp(members, {
        pool: world.database.pool,
        openAll: opensNothing,
        log: silent,
        eventLog: over.lacks ? { ...world.own.log, eventAt: async () => undefined } : world.own.log,
        ...(over.refusal ? { refusal: over.refusal } : {}),
        observer: { ...nobody, stopped: (_, reason) => stopped.push(reason) },
      }).round()
      return stopped.filter(Boolean)
    }
    expect(await catchUpWith({ refusal: () => 'it is another one' })).toEqual(['other-log'])
    expect(await catchUpWith({ lacks: true })).toEqual(['other-log'])
    expect(await completed()).toEqual([4, 8, 8])
    expect(await catchUpWith({})).toEqual([])
    expect(await completed()).toEqual([8, 8, 8])
  })
})

describe('a read model that joins', () => {
  it('does so while the lane goes on, and misses nothing and doubles nothing', async () => {
    const one = projector()
    const all: RecordedEvent[] = []
    const stop = new AbortController()
    const feeding = (async () => {
      while (!stop.signal.aborted) {
        const { events } = await world.own.pay(8)
        all.push(...events)
        await one.feed(events)
      }
    })()
    for (let i = 0; i < 5; i++) {
      await leaveAll(members[i % 3]!)
      await new Promise((resolve) => setTimeout(resolve, 150))
      await one.catchUp.round()
      expect(await outside()).toEqual([])
    }
    stop.abort()
    await feeding
    expect(all.length).toBeGreaterThan(150)
    const n = all.length / 3
    expect(await completed()).toEqual([n, n, n])
    await nothingDiffers(all.slice(0, 90))
  })

  it('has what the lane healed while it was away, and is not handed twice what it read from the log itself', async () => {
    const { feed, catchUp } = projector()
    const { events, payments: paid } = await world.own.pay(2)
    const [early, late] = paid.map(({ stream }) => events.filter((event) => event.stream === stream))
    // The second fact of one is lost on its way; nobody notices until the third comes.
    await feed([early![0]!, ...late!])
    await leaveAll(payments)
    await feed([early![2]!])
    await catchUp.round()
    expect(await outside()).toEqual([])
    expect(await completed()).toEqual([2, 2, 2])
    await nothingDiffers(events)

    // The other way round: what the lane has not noticed yet, the read model has from the log.
    const more = await world.own.pay(2)
    const [third, fourth] = more.payments.map(({ stream }) => more.events.filter((event) => event.stream === stream))
    await leaveAll(payments)
    await feed([third![0]!, ...fourth!])
    await catchUp.round()
    expect(await outside()).toEqual([])
    await feed([third![2]!])
    expect(await completed()).toEqual([4, 4, 4])
    await nothingDiffers(more.events)
  })

  it('is handed what came late to the lane while it was away, before anything later of its stream', async () => {
    const { feed, catchUp } = projector()
    // Two streams of one partition: the second fact of the first one lies before where the read model leaves.
    const { events, payments: paid } = await world.own.pay(14)
    const partitionOf = (stream: string) => placeOf(stream)!.partition
    const [one, other] = paid.flatMap(({ stream }) => {
      const later = paid.find(
        (candidate) => candidate.stream !== stream && partitionOf(candidate.stream) === partitionOf(stream),
      )
      return later ? [stream, later.stream] : []
    })
    const [early, late] = [one, other]
      .map((stream) => events.filter((event) => event.stream === stream))
      .toSorted(([a], [b]) => (a!.position < b!.position ? -1 : 1))
    await feed([early![0]!, ...late!])
    await leaveAll(payments)
    await leaveAll(paymentHistory)
    await feed(early!.slice(2))
    await catchUp.round()
    expect(await outside()).toEqual([])
    await nothingDiffers([...early!, ...late!])
    expect((await sql('select from annals.late_event')).length).toBeGreaterThan(0)
  })

  it('stands further than the lane after a rebuild, and joins', async () => {
    const { feed, catchUp } = projector()
    const first = (await world.own.pay(6)).events
    await feed(first)
    const second = (await world.own.pay(6)).events
    // The log has brought it there, while the topics have not brought the lane there yet.
    await rebuildAll([paymentTotals], rebuildDependencies(world, { acceptUnverified: true }))
    // Nor does it know the revisions of those streams: another rebuild has nothing to compare its own with.
    const [again] = await rebuildAll([paymentTotals], rebuildDependencies(world, { acceptUnverified: true }))
    expect(again!.verification).toMatchObject({ equal: true, compared: false })
    await leaveAll(paymentTotals)
    await catchUp.round()
    expect(await outside()).toEqual([])
    await feed(second)
    expect(await completed()).toEqual([12, 12, 12])
  })

  it.each(['before', 'after'])(
    'has once what it read from the log before its rows were put aside, though the lane heals it %s they come back',
    async (when) => {
      const { feed, catchUp } = projector()
      const { pool } = world.database
      const { events, payments: paid } = await world.own.pay(12)
      const ofPartition = (partition: number) => events.filter(({ stream }) => placeOf(stream)!.partition === partition)
      // Twelve streams on six partitions: something follows the facts that are lost on their way.
      const { partition } = paid
        .map(({ stream }) => placeOf(stream)!)
        .find((place) => ofPartition(place.partition).length > 3)!
      const [lost, alsoLost, last] = ofPartition(partition) as [RecordedEvent, RecordedEvent, RecordedEvent]
      await leaveAll(paymentTotals)
      await feed(events.filter((event) => ![lost, alsoLost, last].includes(event)))

      const holder = await pool.connect()
      try {
        await holder.query('begin')
        await lockLane(holder, inLockOrder(placesOf(paymentTotals)))
        const round = catchUp.round()
        await eventually(async () => {
          const [place] = await sql<{ position: bigint }>(
            `select position from annals.place where projection = 'payment_totals' and partition = $1`,
            [partition],
          )
          expect(place!.position).toBe(ofPartition(partition).at(-1)!.position)
        })
        await catchUp.stop()
        await round
      } finally {
        holder.release(true)
      }
      expect(await outside()).toEqual(['payment_totals'])

      await rebuildAll([paymentTotals], rebuildDependencies(world, { acceptUnverified: true }))
      if (when === 'before') await feed([last])
      await rollBack(pool, paymentTotals)
      const again = projector()
      await again.catchUp.round()
      expect(await outside()).toEqual([])
      if (when === 'after') await feed([last])
      expect(await completed()).toEqual([12, 12, 12])
      const [created] = await sql<{ n: string }>('select sum(created_count) as n from payment_totals.payment_total')
      expect(Number(created!.n)).toBe(12)
    },
  )

  it.each([
    ['outside the lane', () => leaveAll(paymentTotals)],
    [
      'to read another topic',
      async () => {
        await sql(
          `insert into annals.lane_checkpoint (topic, partition, next_offset, position) values ('annals.users', 0, 0, -1)`,
        )
        await sql(`delete from annals.place where projection = 'payment_totals' and partition > 0`)
        await sql(`update annals.place set topic = 'annals.users' where projection = 'payment_totals'`)
      },
    ],
  ])('that is rebuilt %s has what the lane applies until the swap', async (_, prepare) => {
    const { feed } = projector()
    await feed((await world.own.pay(6)).events)
    await prepare()
    const { log } = world.own
    let stage = ''
    let isFed = false
    const flowing: EventLog = {
      ...log,
      async *readAll(asked) {
        yield* log.readAll(asked)
        if (stage !== 'swapping' || isFed) return
        isFed = true
        await feed((await world.own.pay(6)).events)
      },
    }
    const newer: Projection = { ...paymentTotals, version: paymentTotals.version + 1 }
    await rebuildAll([newer], {
      ...rebuildDependencies(world, { log: flowing, acceptUnverified: true }),
      observer: { stage: (_name, entered) => (stage = entered), progress: () => undefined },
    })
    expect(isFed).toBe(true)
    expect(await outside()).toEqual([])
    expect(await completed()).toEqual([12, 12, 12])
    await projector([payments, paymentHistory, newer]).feed((await world.own.pay(3)).events)
    expect(await completed()).toEqual([15, 15, 15])
  })

  it('that reads a topic no more is not fed from it by a projector of the former release', async () => {
    const { feed } = projector()
    await feed((await world.own.pay(6)).events)
    const newer: Projection = { ...paymentTotals, version: paymentTotals.version + 1, topics: ['annals.users'] }
    await rebuildAll([newer], rebuildDependencies(world, { acceptUnverified: true }))
    await feed((await world.own.pay(6)).events)
    expect(await completed()).toEqual([12, 12, 0])
    // And from there again, when the former rows are back.
    await rollBack(world.database.pool, newer)
    await feed((await world.own.pay(6)).events)
    await projector().catchUp.round()
    expect(await outside()).toEqual([])
    expect(await completed()).toEqual([18, 18, 18])
  })

  it('that reads a topic which nothing read before has a place there', async () => {
    const wider: Projection = { ...paymentTotals, topics: [...paymentTotals.topics, 'annals.users'] }
    const places = async (table: string) =>
      (await sql<{ n: number }>(`select count(*)::integer as n from annals.${table} where topic = 'annals.users'`))[0]!
        .n
    await installProjection(world.database.pool, wider)
    expect(await places('lane_checkpoint')).toBe(6)
    await sql(`delete from annals.lane_checkpoint where topic = 'annals.users'`)
    await rebuildAll([{ ...wider, version: wider.version + 1 }], rebuildDependencies(world, { acceptUnverified: true }))
    expect([await places('lane_checkpoint'), await places('place')]).toEqual([6, 6])
  })

  it('is not brought on by a release whose version went out of use meanwhile', async () => {
    const { feed } = projector()
    const { events } = await world.own.pay(4)
    await leaveAll(paymentTotals)
    await feed(events)
    const { log } = world.own
    const { catchUp } = projector(members, {
      ...log,
      async *readAll(asked) {
        await sql(`update annals.projection set version = version + 1 where name = 'payment_totals'`)
        yield* log.readAll(asked)
      },
    })
    await catchUp.round()
    expect(await outside()).toEqual(['payment_totals'])
    expect(await completed()).toEqual([4, 4, 0])
  })

  it('that is new has all of the log, and joins', async () => {
    const two = [payments, paymentTotals]
    await sql(`delete from annals.place where projection = 'payment_history'`)
    await sql(`delete from annals.projection where name = 'payment_history'`)
    await sql('drop schema payment_history cascade')
    const { events } = await world.own.pay(30)
    await projector(two).feed(events)
    await installProjection(world.database.pool, paymentHistory)
    expect(await outside()).toEqual(['payment_history'])
    await projector().catchUp.round()
    expect(await outside()).toEqual([])
    expect(await completed()).toEqual([30, 30, 30])
    await nothingDiffers(events)
  })

  it('is brought on by one of several projectors at a time, and each event is applied once', async () => {
    const projectors = [projector(), projector(), projector()]
    const { events } = await world.own.pay(40)
    await leaveAll(paymentTotals)
    await projectors[0]!.feed(events)
    await Promise.all(projectors.map(({ catchUp }) => catchUp.round()))
    for (const { catchUp } of projectors) await catchUp.round()
    expect(await outside()).toEqual([])
    expect(await completed()).toEqual([40, 40, 40])
  })
})
