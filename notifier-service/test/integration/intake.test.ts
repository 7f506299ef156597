import { beforeEach, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { eventually, testScope } from '@annals/platform/testing'
import { people, processed, registered, type People } from '../support/facts'
import { attempts, deliveries, notifierStack } from '../support/notifier'

/** What needs a notifier that nothing else is asked of: it stops, stands still, or meets a dead server. */
const scope = testScope()
let stack: Awaited<ReturnType<typeof notifierStack>>
let crowd: People

beforeEach(async () => {
  stack = await notifierStack(scope)
  crowd = people()
}, 60_000)

const accepted = (recipient: string, count: number) =>
  eventually(async () => {
    const rows = await deliveries(stack.pool, recipient)
    expect(rows.map(({ state }) => state)).toEqual(Array.from({ length: count }, () => 'accepted'))
  })

describe('reading', () => {
  it('sends once for an event that is read twice, over two offsets and over a restart', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, ada])
    const first = await stack.start()
    await accepted(ada.userId, 1)
    await first.stop()
    await stack.topics.publish([ada])
    // Read from the beginning again, by deliveries that are not set back.
    await stack.pool.query(
      'update checkpoint set next_offset = 0, judged_offset = 0, topic_id = null, record_offset = null, record_mark = null',
    )
    await stack.start()
    // A record of ada's own stream that comes after: once it is applied, all that lay before it was read again.
    const stream = ada.stream
    const sentinel = registered(crowd, {}, { stream })
    await crowd.save(stack.pool)
    await stack.topics.publish([sentinel])
    await accepted(sentinel.userId, 1)
    expect(await deliveries(stack.pool, ada.userId)).toHaveLength(1)
    expect(await stack.mail.mails(ada.email)).toHaveLength(1)
  })

  it('waits at a version of a newer release without losing what lies before it', async () => {
    const userId = randomUUID()
    // One stream, so that all three share a partition.
    const stream = `payment-${randomUUID()}`
    const before = processed(crowd, userId, { stream })
    const newer = processed(crowd, userId, { stream, metadata: { schemaVersion: 9 } })
    const after = processed(crowd, userId, { stream })
    await crowd.save(stack.pool)
    const notifier = await stack.start()
    await stack.topics.publish([registered(crowd, { userId }), before, newer, after])
    await crowd.save(stack.pool)
    await eventually(async () =>
      expect(await notifier.registry.metrics()).toMatch(/annals_notifier_partition_outdated\{.*\} 1/),
    )
    const { rows } = await stack.pool.query('select next_offset::integer as next from checkpoint where topic = $1', [
      stack.topics.payments,
    ])
    expect(rows).toEqual([{ next: 1 }])
    await accepted(userId, 2)
  })
})

describe('a key store that is away', () => {
  it('holds mails up without using up attempts, and calls nobody erased', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.pool.query('alter table subject_key rename to subject_key_away')
    await stack.topics.publish([ada])
    const notifier = await stack.start()
    await eventually(async () => expect(await deliveries(stack.pool)).toHaveLength(1))
    await eventually(async () => {
      const { rows } = await stack.pool.query('select state, attempts from delivery')
      expect(rows).toEqual([{ state: 'pending', attempts: 0 }])
    })
    await stack.pool.query('alter table subject_key_away rename to subject_key')
    await accepted(ada.userId, 1)
    const [row] = await deliveries(stack.pool)
    expect(row).toMatchObject({ attempts: 1 })
    expect(notifier.breakers.get('email')).toBe('closed')
  })
})

describe('a frozen mail server', () => {
  it('may have taken the mail: the end is called unknown', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.mail.fail('hang', 100, ada.email)
    await stack.topics.publish([ada])
    await stack.start({ mailSchedule: [1], attemptMsMax: 2_000 })
    const [row] = await eventually(async () => {
      const rows = await deliveries(stack.pool)
      expect(rows.map(({ state }) => state)).toEqual(['unknown'])
      return rows
    })
    const made = await attempts(stack.pool, row!.id)
    expect(made.map(({ outcome }) => outcome)).toEqual(['unknown', 'unknown'])
  })
})

describe('the circuit breaker', () => {
  it('leaves a dead server alone without using up attempts, and sends when it is back', async () => {
    const many = Array.from({ length: 30 }, () => registered(crowd))
    await crowd.save(stack.pool)
    await stack.mail.stop()
    await stack.topics.publish(many)
    const notifier = await stack.start({ breakerPolicy: { failuresMax: 5, openMs: 1_000 } })
    await eventually(() => expect(notifier.breakers.get('email')).toBe('open'))
    await eventually(async () => expect(await deliveries(stack.pool)).toHaveLength(30))
    const untouched = (await deliveries(stack.pool)).filter(({ attempts }) => attempts === 0)
    expect(untouched.length).toBeGreaterThanOrEqual(20)
    await stack.mail.start()
    await eventually(
      async () => {
        const states = (await deliveries(stack.pool)).map(({ state }) => state)
        expect(states.filter((state) => state !== 'accepted')).toEqual([])
      },
      { withinMs: 20_000 },
    )
    expect(notifier.breakers.get('email')).toBe('closed')
    expect(await stack.mail.mails()).toHaveLength(30)
  }, 60_000)
})
