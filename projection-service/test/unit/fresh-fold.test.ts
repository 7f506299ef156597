import { describe, expect, it } from '@jest/globals'
import type { RecordedEvent } from '@annals/contracts'
import { foldStreamAfresh } from '../../src/drift/fresh-fold'
import { differencesOf } from '../../src/drift/stream-comparison'
import type { StoredRow } from '../../src/engine/definition/projection'
import { payments, paymentHistory } from '../../src/projections'
import { aPayment, opensNothing, paymentFacts } from '../support/facts'

const payment = aPayment()
const facts = paymentFacts(payment, 1n) as [RecordedEvent, RecordedEvent, RecordedEvent]
const [created, started, processed] = facts
const nothing = new Set<string>()

describe('a stream folded afresh', () => {
  it('is what its events make', async () => {
    const { rows, ...rest } = await foldStreamAfresh(payments, facts, nothing, opensNothing)
    expect(rows).toEqual([expect.objectContaining({ key: payment.paymentId })])
    expect(rest).toEqual({ state: { revision: 2, blocked: false }, parked: [], stopped: undefined })
  })

  it('passes over what was dropped, and moves on', async () => {
    const { rows, state, parked } = await foldStreamAfresh(payments, facts, new Set([started.id]), opensNothing)
    expect(rows[0]!.row).toMatchObject({ status: 'completed', attempts: 0 })
    expect(state).toEqual({ revision: 2, blocked: false })
    expect(parked).toEqual([])
  })

  it('tells what can not be applied, and queues what is behind it', async () => {
    const { parked, state } = await foldStreamAfresh(payments, facts, new Set([created.id]), opensNothing)
    expect(parked.map(({ recorded, error }) => [recorded.revision, error !== undefined])).toEqual([
      [1, true],
      [2, false],
    ])
    expect(state).toEqual({ revision: 2, blocked: true })
  })

  it('stops where the log has a hole', async () => {
    const { stopped, state } = await foldStreamAfresh(payments, [created, processed], nothing, opensNothing)
    expect(stopped).toMatch(/revision 2 came after 0/)
    expect(state).toEqual({ revision: 0, blocked: false })
  })

  it('of no events is nothing', async () =>
    expect(await foldStreamAfresh(payments, [], nothing, opensNothing)).toEqual({
      rows: [],
      state: undefined,
      parked: [],
      stopped: undefined,
    }))
})

describe('differences', () => {
  const changed = (row: StoredRow, columns: object): StoredRow => ({ ...row, row: { ...row.row, ...columns } })

  it('name the columns and never a value', async () => {
    const { rows } = await foldStreamAfresh(payments, facts, nothing, opensNothing)
    expect(differencesOf(payments, rows, rows)).toEqual([])
    const found = [changed(rows[0]!, { status: 'failed', description: 'secret', amount_minor: 99n })]
    expect(differencesOf(payments, rows, found)).toEqual([
      { key: payment.paymentId, columns: ['status', 'amount_minor', 'description'] },
    ])
    expect(differencesOf(payments, rows, [])).toEqual([{ key: payment.paymentId, columns: ['(the row is missing)'] }])
  })

  it('are none where JSON has the same keys in another order', async () => {
    const { rows } = await foldStreamAfresh(paymentHistory, [created], nothing, opensNothing)
    const reordered = { methodType: 'card', amount: { currency: 'EUR', minor: 1250 } }
    expect(differencesOf(paymentHistory, rows, [changed(rows[0]!, { data: reordered })])).toEqual([])
    const other = { methodType: 'card', amount: { currency: 'USD', minor: 1250 } }
    expect(differencesOf(paymentHistory, rows, [changed(rows[0]!, { data: other })])).toEqual([
      { key: created.id, columns: ['data'] },
    ])
  })
})
