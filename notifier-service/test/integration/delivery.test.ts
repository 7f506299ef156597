import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { eventually } from '@annals/platform/testing'
import { failed, people, processed, registered, type People } from '../support/facts'
import { attempts, deliveries, notifierStack } from '../support/notifier'
import { Opened } from '../support/servers'

const opened = new Opened()
let stack: Awaited<ReturnType<typeof notifierStack>>
let crowd: People

beforeEach(async () => {
  stack = await notifierStack(opened)
  crowd = people()
})
afterEach(() => opened.close())

/** Waits until every delivery of a recipient stands in these states, by rule. */
const settledAs = (recipient: string, expected: Record<string, string>) =>
  eventually(
    async () => {
      const rows = await deliveries(stack.pool, recipient)
      expect(Object.fromEntries(rows.map(({ rule, state }) => [rule, state]))).toEqual(expected)
      return rows
    },
    { withinMs: 15_000 },
  )

/** A fact that comes after: once it is delivered, all that lay before it on its partition was read. */
async function sentinel(): Promise<void> {
  const after = registered(crowd)
  await crowd.save(stack.pool)
  await stack.topics.publish([after])
  await settledAs(after.userId, { welcome: 'accepted' })
}

describe('from a fact to a mail', () => {
  it('welcomes, confirms and tells of failure, in the language and with the trace of each', async () => {
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const ada = registered(crowd, { locale: 'de', name: 'Ada' }, { traceparent: trace })
    const confirmed = processed(crowd, ada.userId)
    const refused = failed(crowd, ada.userId)
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, confirmed, refused])
    await stack.start()
    const rows = await settledAs(ada.userId, {
      welcome: 'accepted',
      'payment-confirmation': 'accepted',
      'payment-failed': 'accepted',
    })

    const mails = await stack.mail.mails(ada.email)
    expect(mails.map(({ subject }) => subject).sort()).toEqual([
      expect.stringMatching(/^Ihre Zahlung über 0,99\s\$ ist fehlgeschlagen$/),
      expect.stringMatching(/^Ihre Zahlung über 12,50\s€ ist abgeschlossen$/),
      'Willkommen bei Annals',
    ])
    expect(new Set(mails.map(({ messageId }) => messageId))).toEqual(new Set(rows.map(({ identity }) => identity)))
    const welcome = await stack.mail.read(mails.find(({ subject }) => subject.startsWith('Willkommen'))!.id)
    expect(welcome.headers['traceparent']).toContain('4bf92f3577b34da6a3ce929d0e0e4736')
    expect(welcome.headers['auto-submitted']).toBe('auto-generated')
    expect(welcome.text).toContain('Guten Tag Ada')
  })

  it('holds no address and no name in the ledger', async () => {
    const ada = registered(crowd, { name: 'Vera Personal' })
    await crowd.save(stack.pool)
    await stack.topics.publish([ada])
    await stack.start()
    await settledAs(ada.userId, { welcome: 'accepted' })
    const { rows } = await stack.pool.query(
      `select (select string_agg(r::text, '') from recipient r) || (select string_agg(d::text, '') from delivery d)
         || (select string_agg(a::text, '') from attempt a) as everything`,
    )
    const { everything } = rows[0] as { everything: string }
    expect(everything).toContain(ada.userId)
    expect(everything).not.toContain(ada.email)
    expect(everything).not.toContain('Vera')
    expect(everything).not.toContain('fingerprint')
  })

  it('sends once for an event that is read twice, over two offsets and over a restart', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, ada])
    const first = await stack.start()
    await settledAs(ada.userId, { welcome: 'accepted' })
    await first.stop()
    await stack.topics.publish([ada])
    await stack.pool.query('delete from checkpoint')
    await stack.start()
    await sentinel()
    await eventually(async () => {
      const { rows } = await stack.pool.query(
        `select sum(next_offset)::integer as read from checkpoint where topic = $1`,
        [stack.topics.users],
      )
      expect((rows[0] as { read: number }).read).toBeGreaterThanOrEqual(4)
    })
    expect(await deliveries(stack.pool, ada.userId)).toHaveLength(1)
    expect(await stack.mail.mails(ada.email)).toHaveLength(1)
  })

  it('keeps a payment waiting until its user is known, then sends', async () => {
    const ada = registered(crowd)
    const payment = processed(crowd, ada.userId)
    await crowd.save(stack.pool)
    await stack.topics.publish([payment])
    await stack.start()
    await settledAs(ada.userId, { 'payment-confirmation': 'awaiting-recipient' })
    expect(await stack.mail.mails(ada.email)).toEqual([])
    await stack.topics.publish([ada])
    await settledAs(ada.userId, { welcome: 'accepted', 'payment-confirmation': 'accepted' })
    expect(await stack.mail.mails(ada.email)).toHaveLength(2)
  })

  it('sends nothing to an erased person, and says why', async () => {
    const ada = registered(crowd)
    const payment = processed(crowd, ada.userId)
    await stack.topics.publish([ada, payment])
    await stack.start()
    const rows = await settledAs(ada.userId, { welcome: 'suppressed', 'payment-confirmation': 'suppressed' })
    expect(rows.map(({ reason, attempts }) => [reason, attempts])).toEqual([
      ['recipient-erased', 0],
      ['recipient-erased', 0],
    ])
    expect(await stack.mail.mails()).toEqual([])
  })

  it('records what is too old without sending it', async () => {
    const ada = registered(crowd, {}, { at: '2020-01-01T00:00:00Z' })
    await crowd.save(stack.pool)
    await stack.topics.publish([ada])
    await stack.start()
    const [row] = await settledAs(ada.userId, { welcome: 'skipped' })
    expect(row).toMatchObject({ reason: 'too-old', attempts: 0 })
    expect(await stack.mail.mails()).toEqual([])
  })
})

describe('a checkpoint that another has moved', () => {
  it('is read again before anything is applied, and nothing is lost or sent twice', async () => {
    const stream = `payment-${randomUUID()}`
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, processed(crowd, ada.userId, { stream })])
    await stack.start()
    await settledAs(ada.userId, { welcome: 'accepted', 'payment-confirmation': 'accepted' })
    // As after a restore of the ledger: it knows nothing of that payment any more.
    await stack.pool.query(`delete from delivery where rule = 'payment-confirmation'`)
    await stack.pool.query('delete from checkpoint where topic = $1', [stack.topics.payments])
    await stack.topics.publish([processed(crowd, ada.userId, { stream })])
    await eventually(async () => {
      const rows = await deliveries(stack.pool, ada.userId)
      expect(rows.map(({ rule, state }) => [rule, state])).toEqual([
        ['payment-confirmation', 'accepted'],
        ['payment-confirmation', 'accepted'],
        ['welcome', 'accepted'],
      ])
    })
  })
})

describe('records that are not as they should be', () => {
  it('parks what can not be read, and goes on', async () => {
    const bad = registered(crowd)
    bad.record.value = '{"userId":'
    const userId = randomUUID()
    const wrong = registered(crowd, { userId }, { data: { userId: 'nobody' } })
    const good = registered(crowd)
    await crowd.save(stack.pool)
    await stack.topics.publish([bad, wrong, good])
    const notifier = await stack.start()
    await settledAs(good.userId, { welcome: 'accepted' })
    await eventually(async () => {
      const { rows } = await stack.pool.query('select event_id, reason from parked order by event_id nulls last')
      expect(rows).toEqual([
        { event_id: wrong.id, reason: expect.stringContaining('userId') },
        { event_id: null, reason: expect.stringContaining('not JSON') },
      ])
    })
    expect(await notifier.registry.metrics()).toMatch(/annals_notifier_parked_total\{.*\} 2/)
  })

  it('parks what the ledger refuses, and applies its neighbours', async () => {
    const stream = `payment-${randomUUID()}`
    const userId = randomUUID()
    const before = processed(crowd, userId, { stream })
    // Valid for the contract, which knows ids as text; the ledger wants UUIDs.
    const foreign = processed(crowd, userId, { stream, id: 'not-a-uuid' })
    const after = processed(crowd, userId, { stream })
    const ada = registered(crowd, { userId })
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, before, foreign, after])
    await stack.start()
    await eventually(async () => {
      const rows = await deliveries(stack.pool, userId)
      expect(rows.map(({ state }) => state)).toEqual(['accepted', 'accepted', 'accepted'])
    })
    const { rows } = await stack.pool.query('select reason, record_offset::integer as at from parked')
    expect(rows).toEqual([{ reason: 'not applied: 22P02', at: 1 }])
  })

  it('waits at a version of a newer release without losing what lies before it', async () => {
    const userId = randomUUID()
    // One stream, so that all three share a partition.
    const stream = `payment-${randomUUID()}`
    const before = processed(crowd, userId, { stream })
    const newer = processed(crowd, userId, { stream, metadata: { schemaVersion: 9 } })
    const after = processed(crowd, userId, { stream })
    const ada = registered(crowd, { userId })
    await crowd.save(stack.pool)
    await stack.topics.publish([ada, before, newer, after])
    const notifier = await stack.start()
    await settledAs(userId, { welcome: 'accepted', 'payment-confirmation': 'accepted' })
    await sentinel()
    expect(await deliveries(stack.pool, userId)).toHaveLength(2)
    const { rows } = await stack.pool.query('select next_offset::integer as next from checkpoint where topic = $1', [
      stack.topics.payments,
    ])
    expect(rows).toEqual([{ next: 1 }])
    expect(await notifier.registry.metrics()).toMatch(/annals_notifier_newer_version\{.*\} 1/)
  })
})

describe('when the mail server refuses', () => {
  it('repeats what was put off, on schedule, until it is accepted', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.mail.fail('defer', 2, ada.email)
    await stack.topics.publish([ada])
    await stack.start()
    const [row] = await settledAs(ada.userId, { welcome: 'accepted' })
    const made = await attempts(stack.pool, row!.id)
    expect(made.map(({ outcome, code }) => [outcome, code])).toEqual([
      ['transient', '451'],
      ['transient', '451'],
      ['accepted', '250'],
    ])
    for (const i of [1, 2]) {
      const waitedMs = Date.parse(made[i]!.started_at) - Date.parse(made[i - 1]!.started_at)
      expect(waitedMs).toBeGreaterThanOrEqual(1_000)
      expect(waitedMs).toBeLessThan(4_000)
    }
    expect(await stack.mail.mails(ada.email)).toHaveLength(1)
  })

  it.each([['reject'], ['reject-recipient']] as const)(
    'ends with a permanent refusal (%s) after one attempt',
    async (fault) => {
      const ada = registered(crowd)
      await crowd.save(stack.pool)
      await stack.mail.fail(fault, 1, ada.email)
      await stack.topics.publish([ada])
      await stack.start()
      const [row] = await settledAs(ada.userId, { welcome: 'rejected' })
      expect(row).toMatchObject({ reason: '550', attempts: 1 })
      expect(await stack.mail.mails(ada.email)).toEqual([])
    },
  )

  it('gives up when the schedule ends', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.mail.fail('defer', 100, ada.email)
    await stack.topics.publish([ada])
    await stack.start()
    const [row] = await settledAs(ada.userId, { welcome: 'exhausted' })
    expect(row).toMatchObject({ reason: '451', attempts: 4 })
  })

  it('repeats a mail whose fate is unknown under the same Message-ID, and records both attempts', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.mail.fail('drop', 1, ada.email)
    await stack.topics.publish([ada])
    await stack.start()
    const [row] = await settledAs(ada.userId, { welcome: 'accepted' })
    expect((await attempts(stack.pool, row!.id)).map(({ outcome }) => outcome)).toEqual(['unknown', 'accepted'])
    const mails = await stack.mail.mails(ada.email)
    expect(mails.map(({ messageId }) => messageId)).toEqual([row!.identity, row!.identity])
  })

  it('calls the end unknown when a frozen server may have taken the mail', async () => {
    const ada = registered(crowd)
    await crowd.save(stack.pool)
    await stack.mail.fail('hang', 100, ada.email)
    await stack.topics.publish([ada])
    await stack.start({ mailSchedule: [1] })
    const [row] = await settledAs(ada.userId, { welcome: 'unknown' })
    expect((await attempts(stack.pool, row!.id)).map(({ outcome }) => outcome)).toEqual(['unknown', 'unknown'])
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
  })
})
