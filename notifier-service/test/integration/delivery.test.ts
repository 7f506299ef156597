import { beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { eventually, testScope } from '@annals/platform/testing'
import { failed, people, processed, registered, type Fact } from '../support/facts'
import { attempts, deliveries, notifierStack } from '../support/notifier'

/** One notifier runs throughout, on a database, topics and a mail server of its own; each test has people of its own. */
const scope = testScope('file')
const crowd = people()
let stack: Awaited<ReturnType<typeof notifierStack>>
let notifier: Awaited<ReturnType<typeof stack.start>>

beforeAll(async () => {
  stack = await notifierStack(scope)
  notifier = await stack.start()
}, 60_000)

async function publish(...facts: Fact[]): Promise<void> {
  await crowd.save(stack.pool)
  await stack.topics.publish(facts)
}

/** Waits until every delivery of a recipient stands in these states, by rule. */
const settledAs = (recipient: string, expected: Record<string, string>) =>
  eventually(
    async () => {
      const rows = await deliveries(stack.pool, recipient)
      expect(Object.fromEntries(rows.map(({ rule, state }) => [rule, state]))).toEqual(expected)
      return rows
    },
    { withinMs: 20_000 },
  )

const outcomes = async (deliveryId: string) =>
  (await attempts(stack.pool, deliveryId)).map(({ outcome, code }) => [outcome, code])

describe('from a fact to a mail', () => {
  it('welcomes, confirms and tells of failure, in the language and with the trace of each', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const name = 'Call +1 800 555 0100, account locked'
    const ada = registered(crowd, { locale: 'de', name }, { traceparent })
    await publish(ada, processed(crowd, ada.userId), failed(crowd, ada.userId))
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
    // Anyone may have registered this address: the mail says nothing in their words.
    for (const { id, subject } of mails) {
      const { text, html } = await stack.mail.read(id)
      expect(`${subject} ${text} ${html}`).not.toMatch(/Call|800|locked/)
      expect(text).toMatch(/^Guten Tag,/)
    }
  })

  it('holds no address and no name in its database', async () => {
    const vera = registered(crowd, { name: 'Vera Personal' })
    await publish(vera)
    await settledAs(vera.userId, { welcome: 'accepted' })
    const { rows } = await stack.pool.query(
      `select (select string_agg(r::text, '') from recipient r) || (select string_agg(d::text, '') from delivery d)
         || (select string_agg(a::text, '') from attempt a) as everything`,
    )
    const { everything } = rows[0] as { everything: string }
    expect(everything).toContain(vera.userId)
    expect(everything).not.toContain(vera.email)
    expect(everything).not.toContain('Vera')
    expect(everything).not.toContain('fingerprint')
  })

  it('keeps a payment waiting until its user is known, then sends', async () => {
    const late = registered(crowd)
    await publish(processed(crowd, late.userId))
    await settledAs(late.userId, { 'payment-confirmation': 'awaiting-recipient' })
    expect(await stack.mail.mails(late.email)).toEqual([])
    await publish(late)
    await settledAs(late.userId, { welcome: 'accepted', 'payment-confirmation': 'accepted' })
    expect(await stack.mail.mails(late.email)).toHaveLength(2)
  })

  it('sends nothing to an erased person, and says why', async () => {
    const erased = people()
    const gone = registered(erased)
    await erased.destroy(stack.pool)
    await publish(gone, processed(erased, gone.userId))
    const rows = await settledAs(gone.userId, { welcome: 'suppressed', 'payment-confirmation': 'suppressed' })
    expect(rows.map(({ reason, attempts }) => [reason, attempts])).toEqual([
      ['recipient-erased', 0],
      ['recipient-erased', 0],
    ])
    expect(await stack.mail.mails(gone.email)).toEqual([])
  })

  it('is not held up by a registration that does not open', async () => {
    const broken = registered(crowd)
    const whole = registered(crowd)
    const sealed = JSON.parse(broken.record.value!) as { sealed: string }
    const other = JSON.parse(whole.record.value!) as { sealed: string }
    broken.record.value = JSON.stringify({ ...sealed, sealed: other.sealed })
    await publish(broken, whole)
    await settledAs(whole.userId, { welcome: 'accepted' })
    // A wrong key can be put right: it is tried again, and nothing is said to have been sent.
    const [row] = await settledAs(broken.userId, { welcome: 'exhausted' })
    expect(row).toMatchObject({ reason: 'recipient-unreadable', attempts: 3 })
  })

  it('puts off whom the key table has lost, says so, and sends when the row is back', async () => {
    const strangers = people()
    const lost = registered(strangers)
    const other = registered(crowd)
    await publish(lost, other)
    await settledAs(other.userId, { welcome: 'accepted' })
    const [row] = await eventually(async () => {
      const rows = await deliveries(stack.pool, lost.userId)
      expect(rows).toMatchObject([{ state: 'pending', reason: 'key-missing' }])
      return rows
    })
    await strangers.save(stack.pool)
    await settledAs(lost.userId, { welcome: 'accepted' })
    expect((await outcomes(row!.id)).at(0)).toEqual(['transient', 'key-missing'])
    expect(await stack.mail.mails(lost.email)).toHaveLength(1)
  })

  it('records what is too old without sending it', async () => {
    const old = registered(crowd, {}, { at: '2020-01-01T00:00:00Z' })
    await publish(old)
    const [row] = await settledAs(old.userId, { welcome: 'skipped' })
    expect(row).toMatchObject({ reason: 'too-old', attempts: 0 })
    expect(await stack.mail.mails(old.email)).toEqual([])
  })
})

describe('records that are not as they should be', () => {
  it('parks what can not be read, and goes on', async () => {
    const bad = registered(crowd)
    bad.record.value = '{"userId":'
    const wrong = registered(crowd, {}, { data: { userId: 'nobody' } })
    const good = registered(crowd)
    await publish(bad, wrong, good)
    await settledAs(good.userId, { welcome: 'accepted' })
    await eventually(async () => {
      const { rows } = await stack.pool.query(
        `select event_id, reason from parked where event_id = $1 or reason like 'not JSON%' order by event_id nulls last`,
        [wrong.id],
      )
      expect(rows).toEqual([
        { event_id: wrong.id, reason: expect.stringContaining('userId') },
        { event_id: null, reason: expect.stringContaining('not JSON') },
      ])
    })
    expect(await notifier.registry.metrics()).toMatch(/annals_notifier_parked_total\{.*\} [2-9]/)
  })

  it('parks what the database refuses, and applies its neighbours', async () => {
    const stream = `payment-${randomUUID()}`
    const ada = registered(crowd)
    const before = processed(crowd, ada.userId, { stream })
    // Valid for the contract; the database's times know no year 0.
    const foreign = processed(crowd, ada.userId, { stream, metadata: { occurredAt: '0000-01-01T00:00:00Z' } })
    const after = processed(crowd, ada.userId, { stream })
    await publish(ada, before, foreign, after)
    await eventually(async () => {
      const rows = await deliveries(stack.pool, ada.userId)
      expect(rows.map(({ state }) => state)).toEqual(['accepted', 'accepted', 'accepted'])
    })
    const { rows } = await stack.pool.query(`select topic from parked where reason = 'not applied: 22008'`)
    expect(rows).toEqual([{ topic: stack.topics.payments }])
  })
})

describe('when the mail server refuses', () => {
  it('repeats what was put off, on schedule, until it is accepted', async () => {
    const ada = registered(crowd)
    await stack.mail.fail('defer', 2, ada.email)
    await publish(ada)
    const [row] = await settledAs(ada.userId, { welcome: 'accepted' })
    expect(await outcomes(row!.id)).toEqual([
      ['transient', '451'],
      ['transient', '451'],
      ['accepted', '250'],
    ])
    const startedAt = (await attempts(stack.pool, row!.id)).map(({ started_at }) => Date.parse(started_at))
    expect(startedAt[1]! - startedAt[0]!).toBeGreaterThanOrEqual(1_000)
    expect(startedAt[2]! - startedAt[1]!).toBeGreaterThanOrEqual(1_000)
    expect(await stack.mail.mails(ada.email)).toHaveLength(1)
  })

  it.each([['reject'], ['reject-recipient']] as const)(
    'ends with a permanent refusal (%s) after one attempt',
    async (fault) => {
      const ada = registered(crowd)
      await stack.mail.fail(fault, 1, ada.email)
      await publish(ada)
      const [row] = await settledAs(ada.userId, { welcome: 'rejected' })
      expect(row).toMatchObject({ reason: '550', attempts: 1 })
      expect(await stack.mail.mails(ada.email)).toEqual([])
    },
  )

  it('gives up when the schedule ends', async () => {
    const ada = registered(crowd)
    await stack.mail.fail('defer', 100, ada.email)
    await publish(ada)
    const [row] = await settledAs(ada.userId, { welcome: 'exhausted' })
    expect(row).toMatchObject({ reason: '451', attempts: 3 })
  })

  it('repeats a mail whose fate is unknown under the same Message-ID, and records both attempts', async () => {
    const ada = registered(crowd)
    await stack.mail.fail('drop', 1, ada.email)
    await publish(ada)
    const [row] = await settledAs(ada.userId, { welcome: 'accepted' })
    expect((await outcomes(row!.id)).map(([outcome]) => outcome)).toEqual(['unknown', 'accepted'])
    const mails = await stack.mail.mails(ada.email)
    expect(mails.map(({ messageId }) => messageId)).toEqual([row!.identity, row!.identity])
  })
})

describe('a checkpoint that another has moved', () => {
  it('is read again before anything is applied, and nothing is lost or sent twice', async () => {
    const ada = registered(crowd)
    await publish(ada, processed(crowd, ada.userId))
    await settledAs(ada.userId, { welcome: 'accepted', 'payment-confirmation': 'accepted' })
    // The database knows nothing of that payment any more, and someone has moved it to the topic's beginning.
    await stack.pool.query(`delete from delivery where rule = 'payment-confirmation' and recipient = $1`, [ada.userId])
    await stack.pool.query('delete from stream_revision')
    await stack.pool.query(
      `update checkpoint set next_offset = 0, judged_offset = 0, topic_id = null, record_offset = null, record_mark = null,
         moves = moves + 1`,
    )
    // One for every partition, so that each finds out.
    const later = Array.from({ length: 30 }, () => processed(crowd, ada.userId))
    const users = Array.from({ length: 30 }, () => registered(crowd))
    await publish(...later, ...users)
    const rows = await eventually(
      async () => {
        const found = await deliveries(stack.pool, ada.userId)
        expect(found.map(({ state }) => state)).toEqual(Array.from({ length: 1 + 1 + later.length }, () => 'accepted'))
        return found
      },
      { withinMs: 40_000 },
    )
    const mails = await stack.mail.mails(ada.email)
    expect(new Set(mails.map(({ messageId }) => messageId))).toEqual(new Set(rows.map(({ identity }) => identity)))
  }, 60_000)
})
