import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { placeOf, toCloudEvent, topics, type RecordedEvent } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import type { CheckpointedPublisher } from '@annals/platform/kafka'
import { eventually, testScope, type TestDatabase } from '@annals/platform/testing'
import { installProjection } from '../../src/engine/tables/registry'
import { topicsOf } from '../../src/engine/definition/topics'
import { projectionNamed } from '../../src/projections'
import { projectionDatabase } from '../support/database'
import { comparedModels, differences, expectedRows, rowsIn } from '../support/expected-rows'
import { aPayment, paymentFacts, recorded } from '../support/facts'
import { openOwnTopics } from '../support/own-topics'
import { startInstance, type Instance } from '../support/projector-instances'

/** Groups settle in some ten seconds; on a machine that is busy with other things it takes its time. */
const withinMs = 120_000
const stepEveryMs = 2_500

const scope = testScope()
let database: TestDatabase
let brokers: string[]
let prefix: string
let publisher: CheckpointedPublisher
let instances: Instance[]
let events: RecordedEvent[]

beforeEach(async () => {
  instances = []
  events = []
  published = Promise.resolve()
  database = await scope.database(projectionDatabase)
  ;({ brokers, prefix, publisher } = await openOwnTopics(scope))
  for (const name of comparedModels) await installProjection(database.pool, projectionNamed(name)!)
})

function start(freezeAt?: string): Instance {
  const instance = startInstance(scope, {
    projections: comparedModels,
    brokers,
    databaseUrl: database.url,
    prefix,
    ...(freezeAt === undefined ? {} : { freezeAt }),
  })
  instances.push(instance)
  return instance
}

async function gone(instance: Instance, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  instances.splice(instances.indexOf(instance), 1)
  await instance.end(signal)
}

let published: Promise<void>
/** Publishes facts, one batch after the other, and gives them their log positions. */
const publish = (facts: readonly RecordedEvent[]) => (published = published.then(() => publishNext(facts)))

async function publishNext(facts: readonly RecordedEvent[]): Promise<void> {
  const placed = facts.map((fact, i) => ({ ...fact, position: BigInt(events.length + i) }))
  const records = placed.map((event) => {
    const { topic, partition } = placeOf(event.stream)!
    const { key, value, headers, timestamp } = toCloudEvent(event)
    return { topic: `${prefix}${topic}`, partition, key, value, headers, timestamp }
  })
  events.push(...placed)
  await publisher.publish(records, placed.at(-1)!.position)
}

const sessionEnded = () => {
  const sessionId = randomUUID()
  return recorded('session.ended', `session-${sessionId}`, 0, 0n, { sessionId, userId: randomUUID(), reason: 'logout' })
}

/** Some twenty events ten times a second. Payments are begun in one batch and completed in the next. */
function flow() {
  const stopping = new AbortController()
  const running = (async () => {
    let begun: RecordedEvent[] = []
    while (!stopping.signal.aborted) {
      const facts = Array.from({ length: 6 }, () => paymentFacts(aPayment(), 0n))
      await publish([...begun, ...facts.flatMap((of) => of.slice(0, 1)), sessionEnded(), sessionEnded()])
      begun = facts.flatMap((of) => of.slice(1))
      await pause(100, stopping.signal)
    }
    await publish([...begun, sessionEnded()])
  })()
  return async () => {
    stopping.abort()
    await running
  }
}

const everyPlace = topicsOf(comparedModels.map((name) => projectionNamed(name)!))
  .flatMap((topic) => Array.from({ length: topics[topic].partitions }, (_, partition) => `${topic}/${partition}`))
  .toSorted()

/** Every partition has one owner among these instances, and each of them owns some. */
async function spreadOver(all: readonly Instance[]): Promise<void> {
  await eventually(
    () => {
      expect(all.flatMap((instance) => instance.owned()).toSorted()).toEqual(everyPlace)
      for (const instance of all) expect(instance.owned().length).toBeGreaterThan(0)
    },
    { withinMs },
  )
}

const whatDiffers = async () => differences(expectedRows(events), await rowsIn(database.pool))
const nothingDiffers = () => eventually(async () => expect(await whatDiffers()).toEqual({}), { withinMs })

describe('several projectors', () => {
  it(
    'apply every event once while instances join, leave, are killed and freeze every few seconds',
    async () => {
      start()
      start()
      await eventually(async () => expect(instances.every((instance) => instance.owned().length > 0)).toBe(true), {
        withinMs,
      })
      const stop = flow()
      const frozen: Instance[] = []
      /** The oldest that is not frozen; it has work in hand, so that what befalls it means something. */
      const atWork = async () => {
        const oldest = instances.find((instance) => !frozen.includes(instance))!
        await eventually(() => expect(oldest.owned().length).toBeGreaterThan(0), { withinMs })
        return oldest
      }
      const steps = {
        join: async () => void start(),
        leave: async () => gone(await atWork(), 'SIGTERM'),
        kill: async () => gone(await atWork(), 'SIGKILL'),
        freeze: async () => {
          const instance = await atWork()
          instance.signal('SIGSTOP')
          frozen.push(instance)
        },
        thaw: async () => frozen.shift()!.signal('SIGCONT'),
      }
      // At most four at once. A frozen one sleeps for four steps: longer than the six seconds after which it is given up.
      const order = 'join kill join leave join freeze join kill join thaw leave join kill'.split(' ')
      for (const step of order as (keyof typeof steps)[]) {
        await steps[step]()
        await pause(stepEveryMs)
      }
      await stop()
      expect(instances).toHaveLength(3)
      await spreadOver(instances)
      await nothingDiffers()
      // All of that did meet work: some thousand events.
      expect(events.length).toBeGreaterThan(1_000)

      // The comparison finds a fact that was applied twice, and one that was not applied.
      await database.pool.query(
        `update payment_totals.payment_total set completed_count = completed_count + 1
         where ctid = (select min(ctid) from payment_totals.payment_total)`,
      )
      await database.pool.query('delete from activity.activity where event_id = $1', [events[0]!.id])
      const found = await whatDiffers()
      expect(Object.keys(found)).toEqual(['payment_totals', 'activity'])
      expect(found['activity']).toEqual([`- ${events[0]!.id}: ${events[0]!.type}`])
    },
    5 * withinMs,
  )

  it(
    'do not wait for one that froze in the middle of a transaction, and it changes nothing when it wakes',
    async () => {
      const payment = aPayment()
      const frozen = start(payment.paymentId)
      await spreadOver([frozen])
      const stop = flow()
      await eventually(async () => expect((await rowsIn(database.pool))['payments']!.length).toBeGreaterThan(50), {
        withinMs,
      })
      await publish(paymentFacts(payment, 0n))
      await eventually(() => expect(frozen.isFrozen()).toBe(true), { withinMs })
      const other = start()
      await spreadOver([other])
      await stop()
      await nothingDiffers()

      frozen.signal('SIGCONT')
      await spreadOver([frozen, other])
      await publish([...paymentFacts(aPayment(), 0n), sessionEnded()])
      await nothingDiffers()
    },
    5 * withinMs,
  )
})
