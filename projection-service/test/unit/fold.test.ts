import { describe, expect, it } from '@jest/globals'
import type { RecordedEvent } from '@annals/contracts'
import { decodeMemo, readFor } from '../../src/engine/fold/fold'
import { payments, paymentTotals, users } from '../../src/projections'
import { aPayment, opensNothing, paymentFacts, recorded } from '../support/facts'
import { fold, nothing } from '../support/fold'

const payment = aPayment()
const facts = paymentFacts(payment, 0n) as [RecordedEvent, RecordedEvent, RecordedEvent]
const [created, started, processed] = facts
const invalid = { ...created, data: { nonsense: true } }
const newer = { ...started, metadata: { ...(started.metadata as object), schemaVersion: 99 } }

const kinds = async (...events: RecordedEvent[]) => (await fold(payments, events)).verdicts.map(({ kind }) => kind)

describe('what becomes of an event', () => {
  it('is applied in the order of its stream', async () =>
    expect(await kinds(...facts)).toEqual(['applied', 'applied', 'applied']))

  it('is a duplicate when its revision was seen', async () =>
    expect(await kinds(created, created, started, created)).toEqual(['applied', 'duplicate', 'applied', 'duplicate']))

  it('stops at a hole, and changes nothing', async () => {
    const before = await fold(payments, [created])
    const { verdicts, streams } = await fold(payments, [processed], before)
    expect(verdicts.at(-1)).toMatchObject({ kind: 'stop', because: 'hole' })
    expect(streams.get(payment.stream)).toEqual({ revision: 0, blocked: false })
  })

  it('stops at a stream that does not begin with its first event', async () =>
    expect(await kinds(started)).toEqual(['stop']))

  it('stops at a newer version', async () => {
    const { verdicts } = await fold(payments, [created, newer])
    expect(verdicts[1]).toMatchObject({ kind: 'stop', because: 'newer-version' })
  })

  it('does not stop at a newer version of an event that it has no use for', async () => {
    const { verdicts } = await fold(paymentTotals, [created, newer])
    expect(verdicts.map(({ kind }) => kind)).toEqual(['applied', 'unhandled'])
  })

  it('moves the revision for types that nobody knows', async () =>
    expect(await kinds({ ...created, type: 'payment.invented' }, started)).toEqual(['unknown-type', 'parked']))

  it('is parked when it is invalid, and all behind it queue in order', async () => {
    const { verdicts, parked, rows, streams } = await fold(payments, [invalid, started, processed])
    expect(verdicts.map(({ kind }) => kind)).toEqual(['parked', 'queued', 'queued'])
    expect(parked.map(({ error }) => error?.name)).toEqual(['InvalidEvent', undefined, undefined])
    expect(rows.size).toBe(0)
    expect(streams.get(payment.stream)).toEqual({ revision: 2, blocked: true })
  })

  it('queues even a newer version behind a parked event', async () =>
    expect(await kinds(invalid, newer)).toEqual(['parked', 'queued']))

  it('does not let one stream’s parked event touch another stream', async () =>
    expect(await kinds(invalid, ...paymentFacts(aPayment(), 10n))).toEqual(['parked', 'applied', 'applied', 'applied']))

  it('is parked when the fold throws', async () => {
    const throwing = {
      ...payments,
      on: {
        'payment.created': () => {
          throw new Error('a rule that is wrong')
        },
      },
    }
    const { parked } = await fold(throwing, [created])
    expect(parked[0]?.error?.message).toBe('a rule that is wrong')
  })

  it('is parked when the table could not hold the row, and the column is named', async () => {
    const narrow = { ...payments, columns: { ...payments.columns, description: 'uuid?' as const } }
    const data = { ...(created.data as object), description: 'tea' }
    const { parked } = await fold(narrow, [{ ...created, data }])
    expect(parked[0]?.error?.message).toMatch(/column description.*uuid can not hold/)
  })

  it.each(['a\u0000b', 'a\ud800b'])(
    'of a former release is applied with a text that no table could hold: %j',
    async (text) => {
      const data = { ...(created.data as object), description: text }
      const { parked, rows } = await fold(payments, [{ ...created, data }])
      expect(parked).toEqual([])
      expect([...rows.values()].map(({ row }) => row['description'])).toEqual(['a\ufffdb'])
    },
  )

  it('is parked when the key is wrong', async () => {
    const { parked } = await fold({ ...payments, key: () => 'no uuid' }, [created])
    expect(parked[0]?.error?.message).toMatch(/payment_id/)
  })
})

describe('reading', () => {
  const sealedUser = {
    ...recorded('user.registered', 'user-x', 0, 0n, {} as never),
    data: {
      userId: payment.userId,
      locale: 'en',
      roles: ['user'],
      credentialId: payment.paymentId,
      emailProved: false,
      sealed: 'x',
    },
  }
  ;(sealedUser.metadata as { subject: string }).subject = payment.userId

  it('opens what is sealed only for a projection that reads personal data', async () => {
    const open = async () => [{ email: 'a@example.org', name: 'A' }]
    const [opened] = await readFor(users, [sealedUser], open)
    expect(opened).toMatchObject({ kind: 'event', event: { data: { email: 'a@example.org' } } })
    const [closed] = await readFor({ ...users, readsPersonal: false }, [sealedUser], opensNothing)
    expect(closed).toMatchObject({ kind: 'event', event: { data: { email: null } } })
  })

  it('throws what opening throws: nothing was decided', async () => {
    await expect(readFor(users, [sealedUser], async () => Promise.reject(new Error('key store away')))).rejects.toThrow(
      'key store away',
    )
  })

  it('decodes once for several projections, and never hands opened data to one that must not see it', async () => {
    const memo = decodeMemo()
    const open = async () => [{ email: 'a@example.org', name: 'A' }]
    const [first] = await readFor(users, [sealedUser], open, { memo, indexes: [7] })
    const [second] = await readFor(users, [sealedUser], opensNothing, { memo, indexes: [7] })
    expect(second).toBe(first)
    const blind = { ...users, readsPersonal: false }
    const [third] = await readFor(blind, [sealedUser], opensNothing, { memo, indexes: [7] })
    expect(third).toMatchObject({ event: { data: { email: null } } })
  })
})

describe('a fold that is repeated', () => {
  it('changes nothing', async () => {
    const once = await fold(paymentTotals, facts)
    const rows = new Map(once.rows)
    const twice = await fold(paymentTotals, facts, once)
    expect(twice.rows).toEqual(rows)
    expect(twice.verdicts.slice(3).every(({ kind }) => kind === 'duplicate')).toBe(true)
    expect(nothing().rows.size).toBe(0)
  })
})
