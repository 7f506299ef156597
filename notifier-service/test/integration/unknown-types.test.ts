import { beforeEach, describe, expect, it } from '@jest/globals'
import { eventually, testScope } from '@annals/platform/testing'
import { knownTypes } from '../../src/intake/read-record'
import { rules } from '../../src/rules/rules'
import { failed, people, processed, registered, type People } from '../support/facts'
import { deliveries, notifierStack } from '../support/notifier'

const scope = testScope()
let stack: Awaited<ReturnType<typeof notifierStack>>
let crowd: People

beforeEach(async () => {
  stack = await notifierStack(scope)
  crowd = people()
}, 60_000)

/** A release from before there was payment.failed. */
const former = {
  types: new Set([...knownTypes].filter((type) => type !== 'payment.failed')),
  rules: rules.filter(({ on }) => on !== 'payment.failed'),
}

const expectStates = (recipient: string, expected: [rule: string, state: string, reason: string | null][]) =>
  eventually(
    async () => {
      const rows = await deliveries(stack.pool, recipient)
      expect(rows.map(({ rule, state, reason }) => [rule, state, reason]).toSorted()).toEqual(expected.toSorted())
    },
    { withinMs: 20_000 },
  )
const unread = async () =>
  (await stack.pool.query<{ event_id: string }>('select event_id from unread_event order by position')).rows.map(
    ({ event_id }) => event_id,
  )

describe('a notifier that is older than the writer', () => {
  it('keeps what it can not read yet, blocks nothing, and a release that knows it catches up, once', async () => {
    const hourMs = 3_600_000
    const ada = registered(crowd)
    const payment = failed(crowd, ada.userId)
    const old = failed(crowd, ada.userId, { at: new Date(Date.now() - 73 * hourMs).toISOString() })
    // On the stream that it can not read, behind it.
    const after = processed(crowd, ada.userId, { stream: payment.stream })
    const first = await stack.start(former)
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, payment, after, old])
    await expectStates(ada.userId, [
      ['welcome', 'accepted', '250'],
      ['payment-confirmation', 'accepted', '250'],
    ])
    await eventually(async () => expect(await unread()).toEqual([payment.id, old.id]))
    expect(await first.registry.metrics()).toMatch(/annals_notifier_unread_events\{type="payment.failed".*\} 2/)
    await first.stop()

    const second = await stack.start()
    await expectStates(ada.userId, [
      ['welcome', 'accepted', '250'],
      ['payment-confirmation', 'accepted', '250'],
      ['payment-failed', 'accepted', '250'],
      // The age of a fact is judged when it is read, by the fact's own time.
      ['payment-failed', 'skipped', 'too-old'],
    ])
    expect(await unread()).toEqual([])
    expect(await second.registry.metrics()).toMatch(/annals_notifier_caught_up_total\{.*\} 2/)
    expect(await stack.mail.mails(ada.email)).toHaveLength(3)
  }, 60_000)

  it('keeps what the log does not tell for later, and forgets what nothing is sent for', async () => {
    const ada = registered(crowd)
    const payment = failed(crowd, ada.userId)
    const first = await stack.start(former)
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, payment])
    await eventually(async () => expect(await unread()).toEqual([payment.id]))
    await first.stop()

    const log = { ...stack.eventLog, readStream: () => Promise.reject(new Error('no answer')) }
    const second = await stack.start({ eventLog: log })
    await expectStates(ada.userId, [['welcome', 'accepted', '250']])
    expect(await unread()).toEqual([payment.id])
    await second.stop()

    const third = await stack.start({ rules: former.rules })
    await eventually(async () => expect(await unread()).toEqual([]))
    await third.stop()
    expect(await deliveries(stack.pool, ada.userId)).toHaveLength(1)
  }, 60_000)
})
