import { describe, expect, it, jest } from '@jest/globals'
import { placeOf, topicNames, type RecordedEvent } from '@annals/contracts'
import { createHealer } from '@annals/platform/healing'
import { eventually } from '@annals/platform/testing'
import { activity, payments, paymentTotals } from '../../src/projections'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { rollBack } from '../../src/replay/rebuild/swap'
import { silent } from '../support/database'
import { aPayment, paymentFacts } from '../support/facts'
import { openOwnLog } from '../support/own-log'
import { rebuildDependencies } from '../support/own-world'
import { useProjectorWorld } from '../support/projector-world'

// Joining groups takes seconds, on a busy machine many.
jest.setTimeout(120_000)
const withinMs = 60_000

const world = useProjectorWorld([payments, paymentTotals, activity])
const { startProjector, publish, makeAnew, seen } = world

const factsOf = (count: number, from: bigint) =>
  Array.from({ length: count }, (_, i) => paymentFacts(aPayment(), from + BigInt(3 * i))).flat()

async function completed(): Promise<number> {
  const { rows } = await world.database.pool.query(
    'select coalesce(sum(completed_count), 0) as n from payment_totals.payment_total',
  )
  return Number(rows[0].n)
}

describe('the projector', () => {
  it('applies what the topics hold, once, whatever instances come and go and whatever comes twice', async () => {
    const first = factsOf(100, 1n)
    await publish(first)
    const one = await startProjector()
    await eventually(async () => expect(await seen()).toEqual([300, 300, 300]), { withinMs })

    const two = startProjector()
    const second = factsOf(100, 1_000n)
    await publish(second)
    await two
    await one.stop()
    // As a relay would that had lost its checkpoint: everything again, behind what is there.
    await publish([...first, ...second])
    const third = factsOf(50, 5_000n)
    await publish(third)
    await eventually(async () => expect(await seen()).toEqual([750, 750, 750]), { withinMs })
    expect(await completed()).toBe(250)
    const { rows } = await world.database.pool.query('select count(*) as n from activity.activity')
    expect(rows[0].n).toBe(500n)
  })

  it('goes on over a swap without a fact lost or doubled', async () => {
    const own = await openOwnLog(world.scope)
    await startProjector()
    const { events } = await own.pay(30)
    await publish(events)
    await eventually(async () => expect(await seen()).toEqual([90, 90, 90]), { withinMs })
    const rebuilding = rebuildAll([payments, paymentTotals], rebuildDependencies({ database: world.database, own }))
    for (let i = 0; i < 5; i++) await publish((await own.pay(4)).events)
    await rebuilding
    await publish((await own.pay(4)).events)
    await eventually(async () => expect(await seen()).toEqual([162, 162, 162]), { withinMs })
    expect(await completed()).toBe(54)
  })

  it('keeps its places over a swap, unless it is told to begin again; after a rollback the former rows catch up', async () => {
    const own = await openOwnLog(world.scope)
    const { pool } = world.database
    const places = async () => {
      const { rows } = await pool.query<{ next_offset: bigint; topic_id: string | null }>(
        'select partition, next_offset, topic_id, record_offset, record_mark from payments.checkpoint order by partition',
      )
      return rows
    }
    const projector = await startProjector()
    await publish((await own.pay(12)).events)
    await eventually(async () => expect(await seen()).toEqual([36, 36, 36]), { withinMs })
    await projector.stop()
    const read = await places()
    expect(read.reduce((sum, { next_offset }) => sum + next_offset, 0n)).toBeGreaterThanOrEqual(36n)

    const dependencies = rebuildDependencies({ database: world.database, own })
    await rebuildAll([payments], dependencies)
    expect(await places()).toEqual(read)
    await rebuildAll([payments], { ...dependencies, fromFirstOffset: true })
    const begun = (await places()).map(({ next_offset, topic_id }) => ({ next_offset, topic_id }))
    expect(begun).toEqual(Array(6).fill({ next_offset: 0n, topic_id: null }))
    await startProjector({ eventLog: own.log })
    await publish((await own.pay(4)).events)
    await eventually(async () => expect(await seen()).toEqual([48, 48, 48]), { withinMs })

    // The former rows stood where the lane did; it goes on, and they catch up from the log.
    await rollBack(pool, payments)
    await publish((await own.pay(4)).events)
    await eventually(async () => expect(await seen()).toEqual([60, 60, 60]), { withinMs })
    const { rows } = await pool.query('select count(*) as n from payments.payment where attempts = 1')
    expect(rows[0].n).toBe(20n)
  })

  it('reads all topics again that were deleted and made anew, and lacks nothing then', async () => {
    const before = factsOf(60, 1n)
    await publish(before)
    const projector = await startProjector()
    await eventually(async () => expect(await seen()).toEqual([180, 180, 180]), { withinMs })
    await projector.stop()

    await makeAnew(topicNames)
    // As the relay fills them from the log, which has grown meanwhile: fewer records than a checkpoint has passed, at first.
    const missed = factsOf(20, 1_000n)
    await publish([...missed.slice(0, 30), ...before.slice(0, 60)])
    await startProjector()
    await eventually(async () => expect(await seen()).toEqual([210, 210, 210]), { withinMs })
    await publish([...before.slice(60), ...missed.slice(30)])
    await eventually(async () => expect(await seen()).toEqual([240, 240, 240]), { withinMs })
    expect(await completed()).toBe(80)
  })

  it('reads one topic again that is deleted and made anew while it runs, and mends from the log what that lacks', async () => {
    const own = await openOwnLog(world.scope)
    await startProjector({
      healer: createHealer({ eventLog: own.log, log: silent, onOutcome: () => undefined }),
    })
    const { events: before } = await own.pay(40)
    // The last facts of ten payments are lost with the topic.
    const lost = before.slice(-10)
    await publish(before.slice(0, -10))
    await eventually(async () => expect(await seen()).toEqual([110, 110, 110]), { withinMs })

    await makeAnew(['annals.payments'])
    const began = performance.now()
    // What comes goes on where the relay stands; it is less than the topic had, so that no offset is reached again.
    const { events: next } = await own.pay(20)
    await publish(next)
    await eventually(async () => expect(await seen()).toEqual([170, 170, 170]), { withinMs })
    await publish([...lost, ...next])
    await eventually(async () => expect(await seen()).toEqual([180, 180, 180]), { withinMs })
    expect(await completed()).toBe(60)
    expect(performance.now() - began).toBeLessThan(withinMs)
  })

  it('reads from the log what Kafka did not bring, and holds nothing up', async () => {
    const own = await openOwnLog(world.scope)
    const outcomes: string[] = []
    const projector = await startProjector({
      healer: createHealer({ eventLog: own.log, log: silent, onOutcome: (outcome) => outcomes.push(outcome) }),
    })
    const { events } = await own.pay(4)
    await publish(events.filter((_, i) => i !== 4))
    await eventually(async () => expect(await seen()).toEqual([12, 12, 12]), { withinMs })
    expect(await completed()).toBe(4)
    expect(outcomes).toEqual(['healed'])
    expect(projector.assigned().filter(({ waiting }) => waiting)).toEqual([])
  })

  it('is told to be behind while a partition waits, and others flow', async () => {
    const projector = await startProjector()
    const [created, , processed] = paymentFacts(aPayment(), 1n) as [RecordedEvent, RecordedEvent, RecordedEvent]
    await publish([created, processed])
    const waiting = await eventually(
      () => {
        const found = projector.assigned().filter((place) => place.waiting?.includes('revision 2 came after 0'))
        expect(found).toHaveLength(1)
        return found
      },
      { withinMs },
    )
    const { partition } = placeOf(created.stream)!
    expect(new Set(waiting.map((place) => place.partition))).toEqual(new Set([partition]))

    const elsewhere = factsOf(60, 100n).filter(({ stream }) => placeOf(stream)!.partition !== partition)
    await publish(elsewhere)
    await eventually(async () => expect(await seen()).toEqual(Array(3).fill(1 + elsewhere.length)), { withinMs })
  })
})
