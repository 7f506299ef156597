/**
 * What the log accepts every read model can store: generated values go through every field of every event, past the door of the log,
 * through every projection into PostgreSQL, and come back equal.
 */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { z } from 'zod'
import {
  encodeEvent,
  eventDefinitions,
  placeOf,
  streamOf,
  UnfitEvent,
  type EventType,
  type NewEvent,
  type OpenAll,
  type RecordedEvent,
} from '@annals/contracts'
import { arbitraryOf, testScope, type TestDatabase } from '@annals/platform/testing'
import { tablesOf } from '../../src/engine/tables/generation'
import { columnsOf, encodeRow, type Projection, type StoredRow } from '../../src/engine/definition/projection'
import { rowTable } from '../../src/engine/tables/row-table'
import { projections } from '../../src/projections'
import { projectionDatabase } from '../support/database'
import { fold, nothing } from '../support/fold'
import { createReadModels } from '../support/read-models'

/** Of each event type. Enough for every corner of the corpus in every field, few enough for a moment of PostgreSQL. */
const triesPerType = 150

const definitions = Object.values(eventDefinitions) as unknown as { type: EventType; written: z.ZodType }[]
const openAll: OpenAll = async (parts) => parts.map(({ sealed }) => JSON.parse(sealed))

const payment = { userId: randomUUID(), amount: { minor: 1, currency: 'EUR' as const } }
/** Where an event's stream is, and what came before it there. */
const beginnings: { [T in EventType]?: (data: never) => { stream: string; before: NewEvent[] } } = {
  'user.registered': ({ userId }: { userId: string }) => ({ stream: streamOf.user(userId), before: [] }),
  'user.role_granted': ({ userId }: { userId: string }) => ({
    stream: streamOf.user(userId),
    before: [
      {
        type: 'user.registered',
        data: {
          userId,
          email: 'a@example.org',
          name: 'A',
          locale: 'en',
          roles: ['user'],
          credentialId: randomUUID(),
          emailProved: false,
        },
      },
    ],
  }),
  'user.login': ({ sessionId }: { sessionId: string }) => ({ stream: streamOf.session(sessionId), before: [] }),
  'session.refreshed': ({ sessionId }: { sessionId: string }) => ({ stream: streamOf.session(sessionId), before: [] }),
  'session.ended': ({ sessionId }: { sessionId: string }) => ({ stream: streamOf.session(sessionId), before: [] }),
  'payment.created': ({ paymentId }: { paymentId: string }) => ({ stream: streamOf.payment(paymentId), before: [] }),
}
const afterCreation = ({ paymentId }: { paymentId: string }) => ({
  stream: streamOf.payment(paymentId),
  before: [
    {
      type: 'payment.created' as const,
      data: { ...payment, paymentId, method: { type: 'card' as const, token: 'tok_visa' }, description: null },
    },
  ],
})

let position = 0n

/** What the log would hold: encoded as the command service does it. */
const record = (event: NewEvent, stream: string, revision: number, occurredAt: string): RecordedEvent => {
  const id = randomUUID()
  const envelope = {
    tenant: 'main',
    commandId: id,
    correlationId: id,
    causationId: id,
    actor: { type: 'system' as const, id: 'test' },
    occurredAt,
    source: 'test',
  }
  const encoded = encodeEvent(event, id, envelope, (_, personal) => JSON.stringify(personal))
  // The log and Kafka hold JSON.
  return { ...(JSON.parse(JSON.stringify(encoded)) as typeof encoded), stream, revision, position: ++position }
}

/** @returns every event of a generated one's stream, or `undefined` when the door refuses it. */
function streamWith(event: NewEvent, occurredAt: string): RecordedEvent[] | undefined {
  const begin = beginnings[event.type] ?? (event.type.startsWith('payment.') ? afterCreation : undefined)
  if (!begin) return undefined
  const { stream, before } = begin(event.data as never)
  try {
    return [...before, event].map((one, revision) => record(one, stream, revision, occurredAt))
  } catch (error) {
    if (error instanceof UnfitEvent) return undefined
    throw error
  }
}

const occurredAt = arbitraryOf(fc, { type: 'string', format: 'date-time' }) as fc.Arbitrary<string>
const published = definitions.filter(({ type }) => type in beginnings || type.startsWith('payment.'))

const accepted = new Map<EventType, RecordedEvent[][]>()
for (const { type, written } of published) {
  const data = arbitraryOf(fc, z.toJSONSchema(written, { io: 'output', unrepresentable: 'any' }))
  const tries = fc.sample(fc.tuple(data, occurredAt), { numRuns: triesPerType, seed: 12 })
  const streams = tries.map(([one, at]) => streamWith({ type, data: one } as unknown as NewEvent, at))
  accepted.set(
    type,
    streams.filter((stream) => stream !== undefined),
  )
}
const events = [...accepted.values()].flat(2)

const scope = testScope('file')
let database: TestDatabase
beforeAll(async () => {
  database = await scope.database(projectionDatabase)
  const { feed } = await createReadModels(database.pool, projections, openAll)
  for (let from = 0; from < events.length; from += 500) await feed(events.slice(from, from + 500))
}, 120_000)

/** A row as a text; `jsonb` keeps the fields of an object in an order of its own. */
const lineOf = (projection: Projection, row: StoredRow) => {
  const values = encodeRow(projection, row)
  return columnsOf(projection)
    .map(
      ([name, kind], i) => `${name}: ${kind.startsWith('jsonb') ? canonicalJson(JSON.parse(values[i]!)) : values[i]}`,
    )
    .join(', ')
}

const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )

/** What a projection makes of all events in memory, by partition as the engine does it. */
async function folded(projection: Projection): Promise<StoredRow[]> {
  const rows: StoredRow[] = []
  for (let partition = 0; partition < 12; partition++) {
    const own = events.filter(({ stream }) => {
      const place = placeOf(stream)!
      return place.partition === partition && projection.topics.includes(place.topic)
    })
    const into = nothing()
    await fold(projection, own, into, partition, openAll)
    rows.push(...into.rows.values())
  }
  return rows
}

it.each(published.map(({ type }) => type))('the door of the log lets many a generated %s through', (type) =>
  expect(accepted.get(type)!.length).toBeGreaterThan(triesPerType / 20),
)

/** Chains follow the log by themselves, and are fed nothing here. */
const fed = projections.filter(({ grain }) => grain !== 'chain')

describe.each(fed.map((projection) => [projection.name, projection] as const))('%s', (_, projection) => {
  it('has parked nothing', async () => {
    const { rows } = await database.pool.query(`select type, error from ${tablesOf(projection, 'live').parked}`)
    expect(rows).toEqual([])
  })

  it('holds every row as its fold made it', async () => {
    const made = await folded(projection)
    expect(made.length).toBeGreaterThan(0)
    const client = await database.pool.connect()
    try {
      for (const { rows } of [tablesOf(projection, 'live'), await copied(made)]) {
        const stored = await rowTable(projection, rows).load(client, made)
        const found = new Set(stored.map((row) => lineOf(projection, row)))
        expect(made.map((row) => lineOf(projection, row)).filter((line) => !found.has(line))).toEqual([])
        expect(stored).toHaveLength(made.length)
      }
    } finally {
      client.release()
    }

    /** The way of a rebuild: COPY. */
    async function copied(all: readonly StoredRow[]) {
      const rows = `copied_${projection.name}`
      await client.query(`create temporary table ${rows} (like ${tablesOf(projection, 'live').rows} including all)`)
      await rowTable(projection, rows).copy(client, all)
      return { rows }
    }
  })
})
