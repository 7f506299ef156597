import { beforeEach, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import type { AnnalsEvent } from '@annals/contracts'
import { inTransaction, type Pool } from '@annals/platform/postgres'
import { createMetrics } from '@annals/platform/metrics'
import { testScope } from '@annals/platform/testing'
import { takeCare } from '../../src/delivery/caretaker'
import { createDeliveries, type Deliveries } from '../../src/deliveries/claims'
import { recordIntents } from '../../src/deliveries/intents'
import { recordRecipients } from '../../src/deliveries/recipients'
import { createNotifierMetrics } from '../../src/metrics'
import type { ChannelName, Intent } from '../../src/vocabulary'
import { attempts, deliveries } from '../support/notifier'
import { log, notifierDatabase } from '../support/servers'

const scope = testScope()
let pool: Pool
let claims: Deliveries

beforeEach(async () => {
  pool = (await scope.database(notifierDatabase)).pool
  claims = createDeliveries(pool)
})

const eventFor = (recipient: string, id = randomUUID()) =>
  ({
    id,
    type: 'payment.processed',
    data: { userId: recipient },
    at: new Date().toISOString(),
    envelope: { tenant: 'main', correlationId: 'test' },
  }) as unknown as AnnalsEvent

const intentFor = (recipient: string, channel: ChannelName = 'email'): Intent => ({
  rule: 'payment-confirmation',
  recipient,
  channel,
  template: 'payment-confirmation.v1',
  data: {},
})

const record = (
  recipient: string,
  { channel, event = eventFor(recipient) }: { channel?: ChannelName; event?: AnnalsEvent } = {},
) =>
  inTransaction(pool, (client) =>
    recordIntents(client, [{ intent: intentFor(recipient, channel), event, skip: undefined }], 'annals.example'),
  )

const know = (userId: string) =>
  inTransaction(pool, (client) =>
    recordRecipients(client, [
      {
        id: userId,
        part: 'event',
        expiresAt: null,
        tenant: 'main',
        recorded: {
          id: randomUUID(),
          type: 'user.registered',
          stream: '',
          revision: 0,
          position: 0n,
          data: {},
          metadata: {},
        },
      },
    ]),
  )

/** Sets back a lease, as if its time had passed. */
const expireLeases = () =>
  pool.query(`update delivery set lease_until = now() - interval '1 second' where state = 'sending'`)

const careOnce = () =>
  takeCare({
    deliveries: claims,
    policies: {
      email: { schedule: [5], repeatUnknown: true },
      sms: { schedule: [5], repeatUnknown: false },
    },
    metrics: createNotifierMetrics(createMetrics('test')),
    log,
    ageMsMax: 72 * 3_600_000,
    onDue: () => undefined,
  })

const accepted = [
  { kind: 'accepted', code: '250' },
  { state: 'accepted', reason: '250' },
] as const

describe('recording', () => {
  it('records an intent once, whoever else records it at the same time', async () => {
    const user = randomUUID()
    await know(user)
    const event = eventFor(user)
    const results = await Promise.all(Array.from({ length: 8 }, () => record(user, { event })))
    expect(results.flat()).toHaveLength(1)
    expect(await deliveries(pool)).toHaveLength(1)
  })

  it('wakes what waited for a recipient who was committed at the same moment', async () => {
    const user = randomUUID()
    const paying = await pool.connect()
    try {
      await paying.query('begin')
      const records = [{ intent: intentFor(user), event: eventFor(user), skip: undefined }]
      expect(await recordIntents(paying, records, 'annals.example')).toMatchObject([{ state: 'awaiting-recipient' }])
      // The payment is not visible yet, so this can not wake it.
      await know(user)
      await paying.query('commit')
    } finally {
      paying.release()
    }
    expect(await deliveries(pool)).toMatchObject([{ state: 'awaiting-recipient' }])
    await careOnce()
    expect(await deliveries(pool)).toMatchObject([{ state: 'pending' }])
  })

  it('gives up a recipient who never comes', async () => {
    await record(randomUUID())
    await pool.query(`update delivery set recorded_at = now() - interval '73 hours'`)
    await careOnce()
    expect(await deliveries(pool)).toMatchObject([{ state: 'expired', reason: 'recipient-never-known' }])
  })
})

describe('claiming', () => {
  it('hands each delivery to one worker, and records its attempt before anything is sent', async () => {
    const users = Array.from({ length: 40 }, () => randomUUID())
    for (const user of users) {
      await know(user)
      await record(user)
    }
    const taken = await Promise.all(
      Array.from({ length: 8 }, (_, i) => claims.claim('email', 10, 10_000, `worker-${i}`)),
    )
    const ids = taken.flat().map(({ id }) => id)
    expect(ids).toHaveLength(40)
    expect(new Set(ids).size).toBe(40)
    expect(await attempts(pool, ids[0]!)).toMatchObject([{ number: 1, outcome: null }])
    expect(await claims.claim('email', 10, 10_000, 'late')).toEqual([])
  })

  it('leaves other channels alone', async () => {
    const user = randomUUID()
    await know(user)
    await record(user, { channel: 'sms' })
    expect(await claims.claim('email', 10, 10_000, 'w')).toEqual([])
    expect(await claims.claim('sms', 10, 10_000, 'w')).toHaveLength(1)
  })

  it('undoes a claim of which nothing was sent, attempt included', async () => {
    const user = randomUUID()
    await know(user)
    await record(user)
    const [claim] = await claims.claim('email', 1, 10_000, 'w')
    await claims.withdraw(claim!)
    expect(await deliveries(pool)).toMatchObject([{ state: 'pending', attempts: 0 }])
    expect(await attempts(pool, claim!.id)).toEqual([])
    expect(await claims.claim('email', 1, 10_000, 'w')).toMatchObject([{ attempt: 1 }])
  })
})

describe('a lease that runs out', () => {
  async function claimed(channel: ChannelName) {
    const user = randomUUID()
    await know(user)
    await record(user, { channel })
    const [claim] = await claims.claim(channel, 1, 10_000, 'gone')
    return claim!
  }

  it('does not run out while it is renewed', async () => {
    const claim = await claimed('email')
    await expireLeases()
    await claims.renew([claim], 10_000)
    expect(await claims.lost(10)).toEqual([])
    await careOnce()
    expect(await deliveries(pool)).toMatchObject([{ state: 'sending' }])
  })

  it('makes a mail due again, its first attempt recorded as unknown', async () => {
    const claim = await claimed('email')
    await expireLeases()
    await careOnce()
    expect(await attempts(pool, claim.id)).toMatchObject([{ number: 1, outcome: 'unknown', code: 'worker-lost' }])
    await pool.query('update delivery set next_attempt_at = now()')
    expect(await claims.claim('email', 1, 10_000, 'next')).toMatchObject([
      { attempt: 2, doubt: true, identity: claim.identity },
    ])
  })

  it('never makes a text message due again', async () => {
    await claimed('sms')
    await expireLeases()
    await careOnce()
    expect(await deliveries(pool)).toMatchObject([{ state: 'unknown', reason: 'worker-lost' }])
  })

  it('takes a late acceptance as the proof it is, and sends no second mail', async () => {
    const claim = await claimed('email')
    await expireLeases()
    await careOnce()
    await claims.settle(claim, ...accepted)
    expect(await deliveries(pool)).toMatchObject([{ state: 'accepted' }])
    expect(await attempts(pool, claim.id)).toMatchObject([{ outcome: 'accepted' }])
  })

  it('takes a late word on a text message as proof too', async () => {
    const claim = await claimed('sms')
    await expireLeases()
    await careOnce()
    await claims.settle(claim, { kind: 'rejected', code: '21211' }, { state: 'rejected', reason: '21211' })
    expect(await deliveries(pool)).toMatchObject([{ state: 'rejected', reason: '21211' }])
  })

  it('does not let a late failure touch the attempt that another worker is making', async () => {
    const claim = await claimed('email')
    await expireLeases()
    await careOnce()
    await pool.query('update delivery set next_attempt_at = now()')
    const [second] = await claims.claim('email', 1, 10_000, 'next')
    await claims.settle(claim, { kind: 'rejected', code: '550' }, { state: 'rejected', reason: '550' })
    expect(await deliveries(pool)).toMatchObject([{ state: 'sending', attempts: 2 }])
    await claims.settle(second!, ...accepted)
    expect(await deliveries(pool)).toMatchObject([{ state: 'accepted' }])
    expect((await attempts(pool, claim.id)).map(({ outcome }) => outcome)).toEqual(['rejected', 'accepted'])
  })

  it('does not overwrite what was settled in time', async () => {
    const claim = await claimed('email')
    await expireLeases()
    const [lost] = await claims.lost(10)
    await claims.settle(claim, ...accepted)
    await claims.settleLost(
      lost!,
      { kind: 'unknown', code: 'worker-lost' },
      { state: 'unknown', reason: 'worker-lost' },
    )
    expect(await deliveries(pool)).toMatchObject([{ state: 'accepted' }])
    expect(await attempts(pool, claim.id)).toMatchObject([{ outcome: 'accepted' }])
  })
})
