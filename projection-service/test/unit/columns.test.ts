import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { columnCodec, copyLine, UnfitRow, type ColumnKind } from '../../src/engine/definition/columns'
import { defineProjection } from '../../src/engine/definition/projection'

const accepted: [ColumnKind, unknown, string | null][] = [
  ['uuid', '0b54f1c9-7e16-4c3a-9d0e-6f8a3b1c2d4e', '0b54f1c9-7e16-4c3a-9d0e-6f8a3b1c2d4e'],
  ['text', '', ''],
  ['integer', -2147483648, '-2147483648'],
  ['bigint', 9223372036854775807n, '9223372036854775807'],
  ['numeric', 2n ** 200n, String(2n ** 200n)],
  ['numeric', -1n, '-1'],
  ['timestamptz', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000Z'],
  ['timestamptz', '2026-01-01T00:00:00.123456Z', '2026-01-01T00:00:00.123Z'],
  ['timestamptz', '0001-01-01T00:00:00.000Z', '0001-01-01T00:00:00.000Z'],
  ['timestamptz', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ['timestamptz', '2026-01-01T00:00:00.000+01:00', '2025-12-31T23:00:00.000Z'],
  ['date', '2026-01-01', '2026-01-01'],
  ['date', '2024-02-29', '2024-02-29'],
  ['text', 'lone \ud83d', 'lone \ufffd'],
  ['text', '\udc4d\ud83d', '\ufffd\ufffd'],
  ['text', 'pair 👍', 'pair 👍'],
  ['text[]', ['a', '\ud83d'], '{"a","\ufffd"}'],
  ['jsonb', { a: '\ud83d', b: '👍' }, '{"a":"\ufffd","b":"👍"}'],
  ['jsonb', '\\ud83d', '"\\\\ud83d"'],
  ['jsonb', 'a\\u0000b', '"a\\\\u0000b"'],
  ['jsonb', { a: [1, null] }, '{"a":[1,null]}'],
  ['text[]', ['a', 'b"c\\d', ''], '{"a","b\\"c\\\\d",""}'],
  ['text?', null, null],
  ['integer?', undefined, null],
]

const refused: [ColumnKind, unknown][] = [
  ['uuid', '0B54F1C9-7E16-4C3A-9D0E-6F8A3B1C2D4E'],
  ['uuid', "' or 1=1"],
  ['text', 'a\u0000b'],
  ['text', 1],
  ['text', null],
  ['integer', 1.5],
  ['integer', 2147483648],
  ['integer', Number.NaN],
  ['integer', 1n],
  ['bigint', 1],
  ['bigint', 2n ** 63n],
  ['numeric', 1],
  ['numeric', '1'],
  ['timestamptz', 'yesterday'],
  ['timestamptz', new Date()],
  ['timestamptz', '0000-12-31T23:59:59.999Z'],
  ['timestamptz', '+010000-01-01T00:00:00.000Z'],
  ['timestamptz', '0001-01-01T00:00:00+01:00'],
  ['date', '2026-1-1'],
  ['date', '0000-01-01'],
  ['date', '2026-02-30'],
  ['date', '2026-13-01'],
  // JavaScript reads it as a day of 2013.
  ['date', '0001-13-13'],
  ['jsonb', 'a\u0000b'],
  ['jsonb', { a: '\\\u0000' }],
  ['jsonb', () => 1],
  ['text[]', 'a'],
  ['text[]', ['a', null]],
]

/** As the engine does it: checked after a fold, written at the end. */
function encode(kind: ColumnKind, value: unknown, name: string) {
  const codec = columnCodec(name, kind)
  codec.check(value)
  return codec.write(value)
}

describe('a column', () => {
  it.each(accepted)('%s takes %p', (kind, value, text) => expect(encode(kind, value, 'c')).toBe(text))
  it.each(refused)('%s refuses %p', (kind, value) => expect(() => encode(kind, value, 'c')).toThrow(UnfitRow))
  it('of numbers without a bound reads back as what was written', () => {
    const codec = columnCodec('sum', 'numeric')
    for (const value of [0n, -(2n ** 63n) - 1n, 2n ** 200n]) expect(codec.read(codec.write(value))).toBe(value)
    expect(columnCodec('sum', 'numeric?').read(null)).toBeNull()
  })
  it('is named in the refusal, its value is not', () => {
    expect(() => encode('integer', 'secret', 'attempts')).toThrow(/attempts/)
    expect(() => encode('integer', 'secret', 'attempts')).not.toThrow(/secret/)
  })
})

describe('a line of COPY', () => {
  /** As PostgreSQL reads it back. */
  const read = (line: string) =>
    line
      .slice(0, -1)
      .split('\t')
      .map((field) =>
        field === '\\N'
          ? null
          : field.replaceAll(/\\(.)/g, (_, c: string) => ({ t: '\t', n: '\n', r: '\r', '\\': '\\' })[c] ?? c),
      )

  it('reads back as what was written, whatever it holds', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.string({ unit: 'binary' })), { minLength: 1, maxLength: 5 }), (values) => {
        const line = copyLine(values)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        expect(read(line)).toEqual(values)
      }),
    )
  })
})

describe('a definition', () => {
  const good = {
    name: 'things',
    version: 1,
    table: 'thing',
    grain: 'stream' as const,
    keyColumn: 'thing_id',
    topics: ['annals.payments' as const],
    columns: { status: 'text' as const },
    key: () => undefined,
    on: {},
  }
  it('is taken when it agrees with itself', () => expect(defineProjection(good).keyType).toBe('uuid'))
  it.each([
    ['a name that SQL would have to quote', { name: 'Things' }],
    ['a version of zero', { version: 0 }],
    ['no topic', { topics: [] }],
    ['an unknown topic', { topics: ['annals.things' as never] }],
    ['a shard fed from two topics', { grain: 'shard' as const, topics: ['annals.users', 'annals.payments'] as never }],
    ['a column that is the key', { columns: { thing_id: 'text' as const } as never }],
    ['a column that injects', { columns: { 'a;drop': 'text' as const } as never }],
  ])('is refused with %s', (_, change) =>
    expect(() => defineProjection({ ...good, ...change })).toThrow(/things|Things/),
  )
})
