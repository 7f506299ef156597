import type * as FastCheck from 'fast-check'
import { hostileTexts } from './hostile'

/** As much of JSON Schema as zod makes of our schemas. */
interface Schema {
  type?: string
  format?: string
  pattern?: string
  enum?: readonly unknown[]
  const?: unknown
  allOf?: readonly Schema[]
  anyOf?: readonly Schema[]
  items?: Schema
  properties?: Readonly<Record<string, Schema>>
  required?: readonly string[]
  minLength?: number
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
}

const uuidPattern = /\[0-9a-fA-F\]\{8\}-/

/**
 * Values of a JSON Schema, with everything that people and programs put into texts, times and numbers; many of them are refused by
 * what the schema can not say. `fast-check` comes in as an argument: tests have it, this package has not.
 */
export function arbitraryOf(fc: typeof FastCheck, schema: object): FastCheck.Arbitrary<unknown> {
  const character = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom('a', 'Z', ' ', 'é', 'ß', '李', 'ن', '\u200c', '😀', '\u{10ffff}', '\ufffe', '\ufffd'),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom(`'`, '"', '\\', '{', '}', '$', '%', '&', '<', '.', '@', '/', ':', ';', '-'),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('\n', '\t', '\u0301', '\0', '\ud800', '\udc00', '\u001b', '\u202e', '\u3164'),
    },
    { weight: 3, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
  )
  const text = (max: number) =>
    fc.oneof(
      { weight: 4, arbitrary: fc.string({ unit: character, maxLength: 12 }) },
      {
        weight: 1,
        arbitrary: fc.string({
          unit: fc.constantFrom('x', '😀', '€'),
          minLength: Math.max(0, max - 2),
          maxLength: max + 1,
        }),
      },
      { weight: 2, arbitrary: fc.constantFrom(...Object.values(hostileTexts)) },
    )
  const time = fc.oneof(
    fc
      .date({
        min: new Date('0001-01-01T00:00:00.000Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      })
      .map((date) => date.toISOString()),
    fc.constantFrom(
      '0001-01-01T00:00:00.000Z',
      '0050-06-01T00:00:00.5Z',
      '9999-12-31T23:59:59.999Z',
      '2026-11-01T12:00:00Z',
    ),
  )

  function of(one: Schema): FastCheck.Arbitrary<unknown> {
    if (one.const !== undefined) return fc.constant(one.const)
    if (one.enum) return fc.constantFrom(...one.enum)
    if (one.anyOf) return fc.oneof(...one.anyOf.map(of))
    switch (one.type) {
      case 'null':
        return fc.constant(null)
      case 'boolean':
        return fc.boolean()
      case 'integer': {
        const min = Math.max(one.minimum ?? Number.MIN_SAFE_INTEGER, (one.exclusiveMinimum ?? -Infinity) + 1)
        const max = one.maximum ?? Number.MAX_SAFE_INTEGER
        const edges = [min, max, 0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32].filter((edge) => edge >= min && edge <= max)
        return fc.oneof(
          fc.constantFrom(...edges),
          fc.maxSafeInteger().filter((n) => n >= min && n <= max),
        )
      }
      case 'array':
        return fc.array(of(one.items ?? {}), { minLength: 1, maxLength: 3 })
      case 'object':
        return fc.record(
          Object.fromEntries(Object.entries(one.properties ?? {}).map(([name, field]) => [name, of(field)])),
        )
      case 'string': {
        const patterns = [one.pattern, ...(one.allOf ?? []).map(({ pattern }) => pattern)].filter(
          (p) => p !== undefined,
        )
        if (patterns.some((pattern) => uuidPattern.test(pattern))) return fc.uuid()
        if (one.format === 'date-time') return time
        if (one.format === 'email') return fc.oneof(fc.emailAddress(), text(254))
        if (patterns.length === 1) return fc.stringMatching(new RegExp(patterns[0]!))
        return text((one as { maxLength?: number }).maxLength ?? 100)
      }
      default:
        throw new Error(`no values of ${JSON.stringify(one)}`)
    }
  }
  return of(schema as Schema)
}
