import { expect, it } from '@jest/globals'
import { projections } from '@annals/projection-service'
import { history } from '../../log/history.mjs'
import { evolve } from '../../rebuild/emmett-evolve.mjs'

type Row = Record<string, unknown>
type Fold = (row: Row | undefined, event: { data: unknown; at: string; revision: number }) => Row

interface Write {
  stream: string
  revision: number
  events: { type: string; data: unknown }[]
  at: string
}

const folds = projections.find(({ name }) => name === 'payments')!.on as unknown as Record<string, Fold>

/** Our row in the form of Emmett's document. */
const documentOf = (row: Row) => ({
  userId: row['user_id'],
  status: row['status'],
  amountMinor: Number(row['amount_minor']),
  currency: row['currency'],
  methodType: row['method_type'],
  description: row['description'],
  failureCode: row['failure_code'],
  gatewayReference: row['gateway_reference'],
  attempts: row['attempts'],
  createdAt: Date.parse(row['created_at'] as string),
  updatedAt: Date.parse(row['updated_at'] as string),
  revision: Number(row['revision']),
})

it('folds the same read model as ours, event by event', () => {
  const rows = new Map<string, Row>()
  const documents = new Map<string, Row>()
  const seen = new Set<string>()
  for (const { stream, revision: first, events, at } of history({ events: 3_000 }) as unknown as Iterable<Write>) {
    if (!stream.startsWith('payment-')) continue
    for (const [i, { type, data }] of events.entries()) {
      const revision = first + i
      rows.set(stream, folds[type]!(rows.get(stream), { data, at, revision }))
      const metadata = { occurredAt: at, streamPosition: BigInt(revision + 1) }
      documents.set(stream, evolve(documents.get(stream) ?? null, { type, data, metadata }))
      seen.add(type)
    }
  }
  expect(seen.size).toBe(4)
  expect([...documents]).toEqual([...rows].map(([stream, row]) => [stream, documentOf(row)]))
})
