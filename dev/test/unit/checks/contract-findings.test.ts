import { describe, expect, it } from '@jest/globals'
import type { RecordedEvent } from '@annals/contracts'
import { currentSchemas, type JsonSchema } from '@annals/contracts/tooling'
import { defineProjection, projections, type Projection } from '@annals/projection-service'
import { foldFindings, goldenFindings, schemaFindings, streamFindings } from '../../../checks/contracts/findings.mjs'
import { checkLog, isSampled } from '../../../checks/contracts/log-sample.mjs'
import { readGolden, readReleased } from '../../../checks/contracts/released.mjs'

const golden = readGolden()
const released = readReleased()
const current = currentSchemas() as Record<string, { version: number; schema: JsonSchema }>
const exampleOf = (name: string) => golden.find((one) => one.name === name)!

/** `payments` with one of its folds replaced. */
const withFold = (type: string, fold: Projection['on'][string]): Projection[] => {
  const payments = projections.find(({ name }) => name === 'payments')!
  return [{ ...payments, on: { ...payments.on, [type]: fold } }]
}
const erasedAll = async (parts: readonly unknown[]) => parts.map(() => null)

describe('what was released', () => {
  it('holds today', async () => {
    expect(schemaFindings(released.schemas, current, 'full')).toEqual([])
    expect(goldenFindings(released.golden, golden)).toEqual([])
    expect(await foldFindings(projections, golden)).toEqual([])
  })

  it('is missed when a type is gone', () => {
    const { 'payment.failed': _, ...rest } = current
    expect(schemaFindings(released.schemas, rest, 'full')).toEqual([
      expect.stringContaining('payment.failed: the type'),
    ])
  })

  it('is missed when a version is older than before', () => {
    const older = { ...current, 'payment.created': { ...current['payment.created']!, version: 1 } }
    expect(schemaFindings(released.schemas, older, 'full')).toContainEqual(
      expect.stringContaining('payment.created: version 2 was released, 1 is older'),
    )
  })

  it.each([
    ['backward', 0],
    ['forward', 1],
    ['full', 1],
  ] as const)('is compared in the direction that is asked for: %s', (direction, count) => {
    const { version, schema } = current['payment.failed']! as { version: number; schema: { properties: object } }
    const { code: _, ...properties } = schema.properties as Record<string, object>
    const without = { ...current, 'payment.failed': { version, schema: { ...schema, properties } } }
    const found = schemaFindings(released.schemas, without, direction)
    expect(found.filter((line) => line.includes('payment.failed.v1/code: field was removed'))).toHaveLength(count)
  })
})

describe('the golden corpus', () => {
  it('is missed when an example is gone, changed, or does not decode', () => {
    const example = exampleOf('payment.failed.v1.json')
    const changed = { ...example, hash: 'another' }
    const broken = {
      ...exampleOf('payment.processed.v1.json'),
      example: { recorded: { ...exampleOf('payment.processed.v1.json').example.recorded, data: {} } },
    }
    const rest = golden.filter(({ name }) => !['payment.failed.v1.json', 'user.login.v1.json'].includes(name))
    const corpus = [...rest.filter(({ name }) => name !== broken.name), changed, broken]
    expect(goldenFindings(released.golden, corpus).toSorted()).toEqual([
      expect.stringContaining('golden/payment.failed.v1.json: the example was changed'),
      expect.stringContaining('golden/payment.processed.v1.json: does not decode'),
      expect.stringContaining('golden/user.login.v1.json: the example is gone'),
    ])
  })

  it('shows a fold that refuses an example, whether it begins a row or goes on with one', async () => {
    const throws = () => {
      throw new Error('I do not know this')
    }
    expect(await foldFindings(withFold('payment.failed', throws), golden)).toContainEqual(
      'golden/payment.failed.v1.json: projection payments refuses it: I do not know this',
    )
    expect(await foldFindings(withFold('payment.created', throws), golden)).toEqual(
      expect.arrayContaining([
        'golden/payment.created.v1.json: projection payments refuses it: I do not know this',
        'golden/payment.created.v2.json: projection payments refuses it: I do not know this',
      ]),
    )
  })

  it('shows a fold that can not do without personal data', async () => {
    const shouting = defineProjection({
      name: 'shouting',
      version: 1,
      table: 'shout',
      grain: 'stream',
      keyColumn: 'user_id',
      topics: ['annals.users'],
      readsPersonal: true,
      columns: { name: 'text' },
      key: (event) => event.data.userId,
      on: { 'user.registered': (_, { data }) => ({ name: data.name!.toUpperCase() }) },
    })
    expect(await foldFindings([shouting], golden)).toEqual(
      ['v1', 'v2', 'v3'].map((version) =>
        expect.stringMatching(
          new RegExp(`^golden/user\\.registered\\.${version}\\.json: projection shouting refuses it: .*person erased`),
        ),
      ),
    )
  })

  it('shows a row that its table can not hold', async () => {
    const fold: Projection['on'][string] = (row) => ({ ...row, attempts: 1.5 })
    expect(await foldFindings(withFold('payment.process_started', fold), golden)).toContainEqual(
      expect.stringContaining('column attempts'),
    )
  })
})

describe('a stream of the log', () => {
  const created = exampleOf('payment.created.v1.json').example.recorded
  const processed = { ...exampleOf('payment.processed.v1.json').example.recorded, revision: 1 }
  const find = (...events: RecordedEvent[]) => streamFindings(projections, events, erasedAll)

  it('is well when all its events decode and fold', async () => expect(await find(created, processed)).toEqual([]))

  it.each([
    ['an unknown type', { ...processed, type: 'payment.lost' }, /payment\.lost: does not decode: unknown type/],
    [
      'a version from the future',
      { ...processed, metadata: { ...(processed.metadata as object), schemaVersion: 9 } },
      /version 9 is newer/,
    ],
    ['wrong data', { ...processed, data: { paymentId: 1 } }, /payment\.processed: does not decode/],
    ['a hole', { ...processed, revision: 3 }, /projection payments refuses it: .*revision 3 came after 0/],
  ] as const)('shows %s', async (_, event, expected) =>
    expect(await find(created, event)).toContainEqual(expect.stringMatching(expected)),
  )

  it('shows an event that a fold refuses', async () =>
    expect(await find({ ...processed, revision: 0 })).toContainEqual(
      expect.stringContaining('revision 0, payment.processed: projection payments refuses it'),
    ))
})

describe('a sample', () => {
  const streams = Array.from({ length: 2_000 }, (_, i) => `payment-${i}`)

  it('is about as large as asked for, the same each time, and part of a larger one', () => {
    const tenth = streams.filter((stream) => isSampled(stream, 10))
    expect(tenth.length).toBeGreaterThan(140)
    expect(tenth.length).toBeLessThan(260)
    expect(tenth.every((stream) => isSampled(stream, 20))).toBe(true)
    expect(streams.every((stream) => isSampled(stream, 100))).toBe(true)
  })

  it('ends after so many findings that the pattern is clear', async () => {
    const processed = exampleOf('payment.processed.v1.json').example.recorded
    const log = {
      async *readAll() {
        for (const stream of streams) yield { ...processed, stream, revision: 0, createdAt: 0 }
      },
      readStream: async (stream: string) => [{ ...processed, stream, createdAt: 0 }],
    }
    const result = await checkLog({ log, openAll: erasedAll, projections, percent: 100 })
    expect(result.found).toHaveLength(51)
    expect(result.found.at(-1)).toContain('perhaps more')
  })
})
