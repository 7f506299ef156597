import { beforeEach, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { eventually, testScope } from '@annals/platform/testing'
import { rules } from '../../src/rules/rules'
import { failed, people, processed, registered, type Fact, type People } from '../support/facts'
import { deliveries, notifierStack } from '../support/notifier'

/** What is read is judged by its stream's revision, and what is missing is read from the log. */
const scope = testScope()
let stack: Awaited<ReturnType<typeof notifierStack>>
let crowd: People

beforeEach(async () => {
  stack = await notifierStack(scope)
  crowd = people()
}, 60_000)

async function publish(...facts: Fact[]): Promise<void> {
  await crowd.save(stack.pool)
  await stack.topics.publish(facts)
}

const expectStates = (recipient: string, expected: [rule: string, state: string][]) =>
  eventually(
    async () => {
      const rows = await deliveries(stack.pool, recipient)
      expect(rows.map(({ rule, state }) => [rule, state]).toSorted()).toEqual(expected.toSorted())
    },
    { withinMs: 20_000 },
  )

const both: [string, string][] = [
  ['payment-confirmation', 'accepted'],
  ['payment-failed', 'accepted'],
]

describe('a record that Kafka has lost', () => {
  it('is read from the log, and its mail is sent once, also when the record comes after all', async () => {
    const notifier = await stack.start()
    const stream = `payment-${randomUUID()}`
    const ada = registered(crowd)
    const lost = failed(crowd, ada.userId, { stream })
    const after = processed(crowd, ada.userId, { stream })
    await stack.topics.record([lost])
    await publish(ada, after)
    await expectStates(ada.userId, [['welcome', 'accepted'], ...both])

    await publish(lost, after, processed(crowd, ada.userId, { stream }))
    await expectStates(ada.userId, [['welcome', 'accepted'], ['payment-confirmation', 'accepted'], ...both])
    expect(await stack.mail.mails(ada.email)).toHaveLength(4)
    const metrics = await notifier.registry.metrics()
    expect(metrics).toMatch(/annals_notifier_hole_healings_total\{outcome="healed".*\} 1/)
    expect(metrics).toMatch(/annals_notifier_duplicates_total\{.*\} 2/)
  })

  it('holds its partition up while the log does not tell it, and no other', async () => {
    const notifier = await stack.start()
    const stream = `payment-${randomUUID()}`
    const ada = registered(crowd)
    const missing = failed(crowd, ada.userId, { stream })
    const after = processed(crowd, ada.userId, { stream })
    await stack.topics.record([ada, missing, after])
    await crowd.save(stack.pool)
    await stack.store.kill()
    await publish(ada, after)
    await expectStates(ada.userId, [['welcome', 'accepted']])
    await eventually(async () =>
      expect(await notifier.registry.metrics()).toMatch(/annals_notifier_partition_stopped\{.*reason="hole".*\} 1/),
    )
    await stack.store.start()
    await expectStates(ada.userId, [['welcome', 'accepted'], ...both])
  }, 60_000)
})

describe('an event that does not fit into a record', () => {
  it('is read from the log in its place', async () => {
    await stack.start()
    const ada = registered(crowd)
    const large = processed(crowd, ada.userId)
    const { ce_metadata: _, ...headers } = large.record.headers
    large.record.headers = { ...headers, ce_dataref: `log:${large.stream}@${large.revision}` }
    large.record.value = null
    await publish(ada, large)
    await expectStates(ada.userId, [
      ['welcome', 'accepted'],
      ['payment-confirmation', 'accepted'],
    ])
  })
})

describe('a database of a release that kept no revisions', () => {
  /** As the former release leaves it behind: it knows its own columns of the checkpoint only. */
  const forgetRevisions = async () => {
    await stack.pool.query('truncate stream_revision, log_state')
    await stack.pool.query('update checkpoint set judged_offset = null, position_event = null')
  }

  it('takes what it had read for read: no hole, and no mail of the past, whatever is asked for since', async () => {
    const stream = `payment-${randomUUID()}`
    const ada = registered(crowd)
    const past = failed(crowd, ada.userId, { stream })
    const former = await stack.start({ rules: rules.filter(({ name }) => name !== 'payment-failed') })
    await publish(ada, past)
    await expectStates(ada.userId, [['welcome', 'accepted']])
    await eventually(async () => {
      const { rows } = await stack.pool.query('select from stream_revision where stream = $1', [stream])
      expect(rows).toHaveLength(1)
    })
    await former.stop()
    await forgetRevisions()

    await stack.start()
    // The next of a stream that it had read, and one behind a hole that is new.
    const lost = failed(crowd, ada.userId, { stream })
    const next = processed(crowd, ada.userId, { stream })
    await stack.topics.record([lost])
    await publish(next)
    await expectStates(ada.userId, [['welcome', 'accepted'], ...both])
    const { rows } = await stack.pool.query('select event_id from delivery where event_id = $1', [past.id])
    expect(rows).toEqual([])
  })

  it('may be moved on by that release again', async () => {
    const ada = registered(crowd)
    const notifier = await stack.start()
    await publish(ada)
    await expectStates(ada.userId, [['welcome', 'accepted']])
    await notifier.stop()
    // It reads a payment's first event, and asks for nothing of it.
    const stream = `payment-${randomUUID()}`
    const read = failed(crowd, ada.userId, { stream })
    await publish(read)
    const next = processed(crowd, ada.userId, { stream })
    await stack.pool.query('truncate stream_revision')
    await stack.topics.record([next])
    const head = await stack.eventLog.head()
    await stack.pool.query(
      `insert into checkpoint (topic, partition, next_offset, position) select $1, p, 0, $2 - 1 from generate_series(0, 5) p
       on conflict (topic, partition) do update set position = excluded.position, next_offset = checkpoint.next_offset + 1`,
      [stack.topics.payments, head],
    )
    await stack.start()
    await publish(next)
    await expectStates(ada.userId, [
      ['welcome', 'accepted'],
      ['payment-confirmation', 'accepted'],
    ])
  })
})

describe('a topic that is deleted and made anew', () => {
  it('is read from its beginning: what it had brought is dropped, what it lacked comes', async () => {
    const notifier = await stack.start()
    const ada = registered(crowd)
    const first = processed(crowd, ada.userId)
    await publish(ada, first)
    await expectStates(ada.userId, [
      ['welcome', 'accepted'],
      ['payment-confirmation', 'accepted'],
    ])
    await notifier.stop()
    const between = failed(crowd, ada.userId)
    await stack.topics.record([between])
    await stack.topics.remake()
    await publish(ada, first, between, processed(crowd, ada.userId))
    await stack.start()
    await expectStates(ada.userId, [['welcome', 'accepted'], ['payment-confirmation', 'accepted'], ...both])
    expect(await stack.mail.mails(ada.email)).toHaveLength(4)
    const { rows } = await stack.pool.query('select from deliveries_hold')
    expect(rows).toEqual([])
  }, 90_000)
})
