import { randomUUID } from 'node:crypto'
import { describe, expect, it, jest } from '@jest/globals'
import { placeOf, type RecordedEvent } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { createLane } from '../../src/engine/live/lane'
import { tablesOf } from '../../src/engine/tables/generation'
import type { Projection } from '../../src/engine/definition/projection'
import { installProjection } from '../../src/engine/tables/registry'
import { createHealer, type HealingOutcome } from '@annals/platform/healing'
import { payments, paymentHistory, paymentTotals } from '../../src/projections'
import { projectionDatabase, silent } from '../support/database'
import { batchOf, opensNothing, recorded, withReferences } from '../support/facts'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { nobody } from '../support/read-models'

jest.setTimeout(60_000)

const world = useOwnWorld()

/** A projection fed on one partition, at offsets that go on from batch to batch. */
async function fed(projection: Projection, partition: number, eventLog: Pick<EventLog, 'readStream'> = world.own.log) {
  await installProjection(world.database.pool, projection)
  const outcomes: HealingOutcome[] = []
  let healed = 0
  const onOutcome = (outcome: HealingOutcome, events: number) => {
    outcomes.push(outcome)
    healed += events
  }
  const waiting: (string | undefined)[] = []
  const live = createLane([projection], {
    pool: world.database.pool,
    openAll: opensNothing,
    log: silent,
    observer: { ...nobody, waiting: (_, reason) => waiting.push(reason) },
    healer: createHealer({ eventLog, log: silent, onOutcome }),
  })
  const place = { topic: 'annals.payments', partition }
  return {
    outcomes,
    waiting,
    healed: () => healed,
    async feed(events: readonly RecordedEvent[], from?: bigint) {
      const [next] = await live.positions([place])
      return live.handle(batchOf(events, from ?? next?.nextOffset ?? 0n, partition))
    },
    /** As `feed`, with the content of some in the log only. */
    async feedReferences(events: readonly RecordedEvent[], ...at: number[]) {
      const [next] = await live.positions([place])
      return live.handle(withReferences(batchOf(events, next?.nextOffset ?? 0n, partition), events, ...at))
    },
    async checkpoint() {
      const { rows } = await world.database.pool.query(
        `select next_offset, position from ${tablesOf(projection, 'live').checkpoint} where partition = $1`,
        [partition],
      )
      return rows[0] as { next_offset: bigint; position: bigint }
    },
  }
}

const rowOf = async (stream: string) =>
  (
    await world.database.pool.query('select * from payments.payment where payment_id = $1', [
      stream.slice('payment-'.length),
    ])
  ).rows[0]

/** Events of new payments that travel on one partition, stream by stream. */
async function paidOn(partition: number, count: number): Promise<RecordedEvent[][]> {
  const byStream = new Map<string, RecordedEvent[]>()
  while (byStream.size < count) {
    for (const event of (await world.own.pay(count * 6)).events) {
      if (placeOf(event.stream)!.partition !== partition) continue
      byStream.set(event.stream, [...(byStream.get(event.stream) ?? []), event])
    }
  }
  return [...byStream.values()].slice(0, count)
}

describe('a hole in a stream', () => {
  it.each([payments, paymentTotals, paymentHistory] as Projection[])('is healed from the log: $name', async (it) => {
    const [one, two] = (await paidOn(2, 2)) as [RecordedEvent[], RecordedEvent[]]
    const whole = await fed(it, 2)
    await whole.feed([...one, ...two])
    const expected = await contents(it)
    world.database = await world.scope.database(projectionDatabase)

    const holed = await fed(it, 2)
    // Lost: the middle of one stream, the beginning of the other.
    expect(await holed.feed([one[0]!, one[2]!, two[2]!])).toEqual({ kind: 'done' })
    expect(await contents(it)).toEqual(expected)
    expect(holed.outcomes).toEqual(['healed', 'healed'])
    expect(holed.healed()).toBe(3)
    // Nobody was called.
    expect(holed.waiting).toEqual([undefined])
  })

  it('is healed when the partition has long gone past it, and the position never goes back', async () => {
    const [early, late] = (await paidOn(1, 2)) as [RecordedEvent[], RecordedEvent[]]
    const live = await fed(payments, 1)
    await live.feed([early[0]!])
    await live.feed(late)
    const reached = await live.checkpoint()
    const before = { ...early[2]!, position: reached.position + 1n }
    expect(await live.feed([before])).toEqual({ kind: 'done' })
    expect(await rowOf(early[0]!.stream)).toMatchObject({ status: 'completed', attempts: 1, revision: 2n })
    expect(await live.checkpoint()).toEqual({ next_offset: 5n, position: before.position })
  })

  it('is healed once: what comes late after all is a duplicate', async () => {
    const [events] = (await paidOn(0, 1)) as [RecordedEvent[]]
    const live = await fed(paymentHistory, 0)
    await live.feed([events[0]!, events[2]!])
    await live.feed([events[1]!, ...events])
    const { rows } = await world.database.pool.query('select count(*) as n from payment_history.payment_event')
    expect(rows[0].n).toBe(3n)
  })

  it('stops the partition loudly when the log does not have the missing events', async () => {
    const [events] = (await paidOn(3, 1)) as [RecordedEvent[]]
    const live = await fed(payments, 3)
    const beyond = recorded('payment.failed', events[0]!.stream, 5, events[2]!.position + 5n, {} as never)
    expect(await live.feed([...events, beyond])).toMatchObject({
      kind: 'wait',
      resumeAt: 3n,
      reason: expect.stringMatching(/revision 5 came after 2/),
    })
    expect(live.outcomes).toEqual(['not-in-log'])
    expect(live.waiting).toEqual(['hole'])
    expect((await live.checkpoint()).next_offset).toBe(3n)
  })

  it('stops the partition when the topic was filled from another log', async () => {
    const [events] = (await paidOn(3, 1)) as [RecordedEvent[]]
    const live = await fed(payments, 3)
    const stranger = { ...events[2]!, id: '00000000-0000-4000-8000-000000000000' }
    expect(await live.feed([events[0]!, stranger])).toMatchObject({ kind: 'wait', resumeAt: 1n })
    expect(live.outcomes).toEqual(['other-log'])
    expect(await rowOf(events[0]!.stream)).toMatchObject({ status: 'pending' })
  })

  it('does not read without end for a topic that begins late', async () => {
    const [events] = (await paidOn(4, 1)) as [RecordedEvent[]]
    const live = await fed(payments, 4)
    expect(await live.feed([{ ...events[2]!, revision: 5_000 }])).toMatchObject({ kind: 'wait', resumeAt: 0n })
    expect(live.outcomes).toEqual(['too-large'])
  })

  it('is passed when every read model has been rebuilt beyond it', async () => {
    const [events] = (await paidOn(4, 1)) as [RecordedEvent[]]
    const live = await fed(payments, 4)
    const late = { ...events[2]!, revision: 5_000 }
    expect(await live.feed([late])).toMatchObject({ kind: 'wait' })
    await rebuildAll([payments], rebuildDependencies(world))
    expect(await live.feed([late])).toEqual({ kind: 'done' })
    expect(await rowOf(events[0]!.stream)).toMatchObject({ status: 'completed', attempts: 1 })
  })

  it('waits while the log does not answer, and is healed when it does', async () => {
    const [events] = (await paidOn(5, 1)) as [RecordedEvent[]]
    const nobodyThere = createEventLog('esdb://127.0.0.1:1?tls=false&maxDiscoverAttempts=1', silent)
    try {
      const cutOff = await fed(payments, 5, nobodyThere)
      expect(await cutOff.feed([events[0]!, events[2]!])).toMatchObject({ kind: 'wait', resumeAt: 1n })
      expect(cutOff.outcomes).toEqual(['no-answer'])
      expect(cutOff.waiting).toEqual(['hole'])
    } finally {
      await nobodyThere.close()
    }
    const live = await fed(payments, 5)
    expect(await live.feed([events[2]!])).toEqual({ kind: 'done' })
    expect(await rowOf(events[0]!.stream)).toMatchObject({ status: 'completed' })
  })

  it('does not keep the consumer for long where very many streams have one', async () => {
    const streams = await paidOn(0, 60)
    const live = await fed(payments, 0)
    const holed = streams.flatMap((events) => [events[0]!, events[2]!])
    const outcome = await live.feed(holed)
    expect(outcome).toMatchObject({ kind: 'wait', reason: expect.stringMatching(/many holes/) })
    expect(live.waiting).toEqual([])
    const { resumeAt } = outcome as { resumeAt: bigint }
    expect(await live.feed(holed.slice(Number(resumeAt)), resumeAt)).toEqual({ kind: 'done' })
    const { rows } = await world.database.pool.query(
      `select count(*) as n from payments.payment where status = 'completed'`,
    )
    expect(rows[0].n).toBe(60n)
    expect(live.healed()).toBe(60)
  })
})

/** Rows and streams of a read model, in order. */
async function contents(projection: Projection) {
  const { rows, stream } = tablesOf(projection, 'live')
  const read = async (table: string) =>
    (await world.database.pool.query(`select * from ${table} t order by t::text collate "C"`)).rows
  return { rows: await read(rows), streams: await read(stream) }
}

describe('a record that refers to the log', () => {
  it.each([payments, paymentTotals, paymentHistory] as Projection[])(
    'is read from there, in its place: $name',
    async (it) => {
      const [one, two] = (await paidOn(2, 2)) as [RecordedEvent[], RecordedEvent[]]
      const whole = await fed(it, 2)
      await whole.feed([...one, ...two])
      const expected = await contents(it)
      world.database = await world.scope.database(projectionDatabase)

      const referring = await fed(it, 2)
      expect(await referring.feedReferences([...one, ...two], 0, 2, 4)).toEqual({ kind: 'done' })
      expect(await contents(it)).toEqual(expected)
    },
  )

  it('waits while the log does not answer, after what came before it', async () => {
    const [one] = (await paidOn(4, 1)) as [RecordedEvent[]]
    let isAway = true
    const eventLog = {
      readStream: async (...read: Parameters<EventLog['readStream']>) => {
        if (isAway) throw new Error('the log is away')
        return world.own.log.readStream(...read)
      },
    }
    const live = await fed(payments, 4, eventLog)
    expect(await live.feedReferences(one, 1)).toMatchObject({ kind: 'wait', resumeAt: 1n })
    expect(live.waiting).toEqual(['hole'])
    expect(await rowOf(one[0]!.stream)).toMatchObject({ status: 'pending' })
    isAway = false
    expect(await live.feedReferences(one.slice(1), 0)).toEqual({ kind: 'done' })
    expect(await rowOf(one[0]!.stream)).toMatchObject({ status: 'completed', attempts: 1 })
  })

  it('is parked when the log has another event there, and its stream with it; the others go on', async () => {
    const [one, two] = (await paidOn(0, 2)) as [RecordedEvent[], RecordedEvent[]]
    const another = { ...one[1]!, id: randomUUID() }
    const live = await fed(payments, 0)
    const events = [one[0]!, another, one[2]!, ...two]
    expect(await live.feedReferences(events, 1)).toEqual({ kind: 'done' })
    expect(await rowOf(two[0]!.stream)).toMatchObject({ status: 'completed' })
    const { rows } = await world.database.pool.query('select revision, error from payments.parked order by revision')
    expect(rows).toEqual([
      { revision: 1n, error: expect.stringMatching(/another event in its place/) },
      { revision: 2n, error: null },
    ])
  })

  it('needs no content where nobody asks for it', async () => {
    const [one] = (await paidOn(5, 1)) as [RecordedEvent[]]
    const live = await fed(paymentTotals, 5, { readStream: () => Promise.reject(new Error('the log is away')) })
    // Totals do not look at attempts.
    expect(await live.feedReferences(one, 1)).toEqual({ kind: 'done' })
  })
})
