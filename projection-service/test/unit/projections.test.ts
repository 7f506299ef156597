import { randomUUID } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { topicOfCategory, categoryOf } from '@annals/contracts'
import {
  activity,
  paymentHistory,
  payments,
  paymentTotals,
  projections,
  userLogins,
  users,
} from '../../src/projections'
import { aPayment, paymentFacts, recorded } from '../support/facts'
import { fold, given, nothing } from '../support/fold'

const payment = aPayment()
const [created, started, processed] = paymentFacts(payment, 0n)
const { paymentId, userId, stream, amount } = payment

const failed = recorded('payment.failed', stream, 2, 2n, {
  paymentId,
  userId,
  attempt: 1,
  amount,
  code: 'card-declined',
})
const unknown = recorded('payment.outcome_unknown', stream, 2, 2n, { paymentId, userId, attempt: 1, gatewayKey: 'key' })
const registered = recorded('user.registered', `user-${userId}`, 0, 0n, {
  userId,
  email: 'a@example.org',
  name: 'A',
  locale: 'en',
  roles: ['user'],
  credentialId: randomUUID(),
  emailProved: false,
})
const granted = (revision: number) =>
  recorded('user.role_granted', `user-${userId}`, revision, BigInt(revision), { userId, role: 'admin' })

const session = (at: string) => {
  const sessionId = randomUUID()
  return recorded(
    'user.login',
    `session-${sessionId}`,
    0,
    1n,
    {
      sessionId,
      userId,
      methods: ['password'],
      epoch: 1,
      ip: null,
      userAgent: null,
      expiresAt: '2027-01-01T00:00:00.000Z',
    },
    at,
  )
}

describe('payments', () => {
  it('begins as pending', () =>
    given(payments, created!).then({
      [paymentId]: { status: 'pending', amount_minor: 1250n, attempts: 0, revision: 0n },
    }))
  it('is processing while the payment gateway is asked', () =>
    given(payments, created!, started!).then({ [paymentId]: { status: 'processing', attempts: 1, revision: 1n } }))
  it('is completed with the payment gateway’s reference', () =>
    given(payments, created!, started!, processed!).then({
      [paymentId]: { status: 'completed', gateway_reference: 'ref', failure_code: null, revision: 2n },
    }))
  it('is failed with the reason', () =>
    given(payments, created!, started!, failed).then({
      [paymentId]: { status: 'failed', failure_code: 'card-declined' },
    }))
  it('is unknown while nothing proves an outcome', () =>
    given(payments, created!, started!, unknown).then({ [paymentId]: { status: 'unknown' } }))
  it('parks an event whose beginning is not the payment’s', () =>
    given(payments, { ...started!, revision: 0 }).isParked(/before the one that begins/))
})

describe('payment totals', () => {
  it('counts and adds up in the day of each fact', async () => {
    const late = {
      ...processed!,
      metadata: { ...(processed!.metadata as object), occurredAt: '2026-03-02T00:00:00.000Z' },
    }
    await given(paymentTotals, created!, started!, late).then({
      '2026-03-01|EUR': { day: '2026-03-01', created_count: 1n, created_minor: 1250n, completed_count: 0n },
      '2026-03-02|EUR': { day: '2026-03-02', created_count: 0n, completed_count: 1n, completed_minor: 1250n },
    })
  })
  it.each(['2026-12-31T23:59:59.999999Z', '2024-02-29T00:00:00.5Z', '0001-01-01T00:00:00Z'])(
    'finds the day of %s in UTC',
    async (occurredAt) => {
      const day = new Date(occurredAt).toISOString().slice(0, 10)
      const at = { ...created!, metadata: { ...(created!.metadata as object), occurredAt } }
      await given(paymentTotals, at).then({ [`${day}|EUR`]: { day, created_count: 1n } })
    },
  )
  it('takes no time with an offset, in which the day could be another', () =>
    given(paymentTotals, {
      ...created!,
      metadata: { ...(created!.metadata as object), occurredAt: '2026-03-02T00:30:00+02:00' },
    }).isParked(/metadata/))
  it('adds failures up apart', () =>
    given(paymentTotals, created!, started!, failed).then({
      '2026-03-01|EUR': { failed_count: 1n, failed_minor: 1250n },
    }))
  it('keeps currencies and partitions apart', async () => {
    const other = aPayment({ amount: { minor: 1, currency: 'USD' } })
    const folded = await fold(paymentTotals, paymentFacts(other, 10n), await fold(paymentTotals, [created!]), 4)
    expect([...folded.rows.keys()]).toEqual(['0|2026-03-01|EUR', '4|2026-03-01|USD'])
  })
})

describe('payment history', () => {
  it('has one line for each event', async () => {
    const { rows } = await fold(paymentHistory, [created!, started!, processed!])
    expect([...rows.values()].map(({ row }) => row['data'])).toEqual([
      { amount, methodType: 'card' },
      { attempt: 1 },
      { attempt: 1, amount, gatewayReference: 'ref' },
    ])
  })
})

describe('users', () => {
  it('shows who registered', () =>
    given(users, registered).then({ [userId]: { email: 'a@example.org', roles: ['user'] } }))
  it('adds a role once', () =>
    given(users, registered, granted(1), granted(2)).then({ [userId]: { roles: ['user', 'admin'] } }))
  it('reads erased personal data as null', async () => {
    const { email: _, name: __, ...open } = registered.data as { email: string; name: string }
    const metadata = { ...(registered.metadata as object), subject: userId }
    await given(users, { ...registered, data: { ...open, sealed: 'x' }, metadata }).then({
      [userId]: { email: null, name: null, roles: ['user'] },
    })
  })
})

describe('user logins', () => {
  it('counts, and keeps the latest time whatever the order of arrival', () =>
    given(userLogins, session('2026-03-02T00:00:00.000Z'), session('2026-03-01T00:00:00.000Z')).then({
      [userId]: { login_count: 2, last_login_at: '2026-03-02T00:00:00.000Z' },
    }))
})

describe('activity', () => {
  it('tells what was done, and passes over what the system did by itself', async () => {
    const { rows, verdicts } = await fold(activity, [created!, started!, processed!])
    expect([...rows.values()].map(({ row }) => [row['type'], row['about']])).toEqual([
      ['payment.created', paymentId],
      ['payment.processed', paymentId],
    ])
    expect(verdicts.map(({ kind }) => kind)).toEqual(['applied', 'unhandled', 'applied'])
  })
})

describe('every projection', () => {
  const events = [registered, granted(1), session('2026-03-01T00:00:00.000Z'), created!, started!, processed!]

  it.each(projections.map((projection) => [projection.name, projection] as const))(
    '%s folds in parts as it folds at once',
    async (_, projection) => {
      const mine = events.filter(({ stream }) => projection.topics.includes(topicOfCategory(categoryOf(stream))!))
      const whole = await fold(projection, mine)
      let parts = nothing()
      for (const event of mine) parts = await fold(projection, [event], parts)
      expect(parts.rows).toEqual(whole.rows)
    },
  )

  it.each(
    projections.filter(({ grain }) => grain === 'stream').map((projection) => [projection.name, projection] as const),
  )('%s keeps one row for each stream', async (_, projection) => {
    const { rows, streams } = await fold(projection, [
      ...(projection === users ? [registered, granted(1)] : []),
      ...(projection === payments ? [...paymentFacts(payment, 0n), ...paymentFacts(aPayment({ userId }), 10n)] : []),
    ])
    expect(rows.size).toBe(streams.size)
    expect(rows.size).toBeGreaterThan(0)
  })
})
