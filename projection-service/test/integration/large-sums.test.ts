import { randomUUID } from 'node:crypto'
import { beforeAll, expect, it } from '@jest/globals'
import { formatMoney, type NewEvent, type RecordedEvent } from '@annals/contracts'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { parkedStreams } from '../../src/engine/parking/parked'
import { payments, paymentTotals } from '../../src/projections'
import { projectionDatabase } from '../support/database'
import { startTestApi, type TestApi } from '../support/api'
import { recorded } from '../support/facts'
import { createReadModels } from '../support/read-models'

const scope = testScope('file')
let database: TestDatabase
let api: TestApi
beforeAll(async () => {
  database = await scope.database(projectionDatabase)
  api = await startTestApi(scope, { pool: database.pool })
})

const day = '2026-03-01'
let position = 0n

/** The largest amount that could be created before there was a largest: it is in old logs. */
const oldFortune = { minor: Number.MAX_SAFE_INTEGER, currency: 'KWD' } as const

function paymentsOf(userId: string, count: number, amount: NewEvent<'payment.created'>['data']['amount']) {
  return Array.from({ length: count }, (): RecordedEvent[] => {
    const paymentId = randomUUID()
    const stream = `payment-${paymentId}`
    const method = { type: 'card', token: 'tok_visa' } as const
    const created = { paymentId, userId, amount, method, description: null }
    const processed = { paymentId, userId, attempt: 1, amount, gatewayReference: 'ch_1' }
    return [
      recorded('payment.created', stream, 0, ++position, created, `${day}T10:00:00.000Z`),
      recorded('payment.process_started', stream, 1, ++position, { paymentId, userId, attempt: 1, gatewayKey: 'key' }),
      recorded('payment.processed', stream, 2, ++position, processed, `${day}T10:00:00.000Z`),
    ]
  }).flat()
}

it('one person with fortunes, thousands of them, breaks no sum and parks nobody’s payment', async () => {
  const models = await createReadModels(database.pool, [payments, paymentTotals])
  const fortunes = 6_500
  await models.feed(paymentsOf(randomUUID(), fortunes, oldFortune))
  // Loaded again and folded on, by another instance.
  const others = await createReadModels(database.pool, [payments, paymentTotals])
  const anna = randomUUID()
  await others.feed(paymentsOf(anna, 12, { minor: 1_000, currency: 'KWD' }))

  for (const projection of [payments, paymentTotals])
    expect(await parkedStreams(database.pool, projection, 10)).toEqual([])
  const sum = formatMoney({ minor: BigInt(oldFortune.minor) * BigInt(fortunes) + 12_000n, currency: 'KWD' })
  const root = await api.tokenFor(randomUUID(), { roles: ['user', 'admin'] })
  const { body } = await api.get(`/stats/payments?from=${day}&to=${day}`, { token: root })
  expect(body.items).toEqual([
    expect.objectContaining({ currency: 'KWD', createdCount: fortunes + 12, createdAmount: sum, completedAmount: sum }),
  ])
  const hers = await api.get('/payments?limit=100', { token: await api.tokenFor(anna) })
  expect(hers.body.items).toHaveLength(12)
}, 120_000)
