import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { breaks, compareSchemas, currentSchemas, type JsonSchema } from '@annals/contracts/tooling'

const base = z.object({
  id: z.string(),
  kind: z.enum(['a', 'b']),
  count: z.int().min(1).max(9),
  tags: z.array(z.string()),
  note: z.string().nullable(),
  facts: z.record(z.string(), z.string()),
  method: z.discriminatedUnion('type', [
    z.object({ type: z.literal('card'), token: z.string() }),
    z.object({ type: z.literal('cash') }),
  ]),
  code: z.string().regex(/^a/),
})
const card = z.object({ type: z.literal('card'), token: z.string() })
const cash = z.object({ type: z.literal('cash') })
const bill = z.object({ type: z.literal('bill') })
const compare = (now: z.ZodObject) =>
  compareSchemas(z.toJSONSchema(base) as JsonSchema, z.toJSONSchema(now) as JsonSchema)

describe('compareSchemas', () => {
  it('finds nothing when nothing changed', () => expect(compare(base)).toEqual([]))
  it('lets an optional field come', () => expect(compare(base.extend({ remark: z.string().optional() }))).toEqual([]))

  it.each([
    ['a field goes', base.omit({ id: true }), '/id', 'forward'],
    ['a required field comes', base.extend({ remark: z.string() }), '/remark', 'backward'],
    ['a field becomes optional', base.extend({ id: z.string().optional() }), '/id', 'forward'],
    ['a type changes', base.extend({ id: z.number() }), '/id', 'both'],
    ['a value goes', base.extend({ kind: z.enum(['a']) }), '/kind', 'backward'],
    ['a value comes', base.extend({ kind: z.enum(['a', 'b', 'c']) }), '/kind', 'forward'],
    ['a minimum rises', base.extend({ count: z.int().min(2).max(9) }), '/count', 'backward'],
    ['a maximum rises', base.extend({ count: z.int().min(1).max(10) }), '/count', 'forward'],
    ['what an array holds changes', base.extend({ tags: z.array(z.number()) }), '/tags/items', 'both'],
    ['a pattern comes', base.extend({ id: z.string().regex(/^x/) }), '/id', 'backward'],
    ['a pattern goes', base.extend({ code: z.string() }), '/code', 'forward'],
    ['a pattern changes', base.extend({ code: z.string().regex(/^b/) }), '/code', 'both'],
    ['a field may be null', base.extend({ id: z.string().nullable() }), '/id', 'forward'],
    ['a field may not be null any more', base.extend({ note: z.string() }), '/note', 'backward'],
    ['an alternative comes', base.extend({ method: z.union([card, cash, bill]) }), '/method', 'forward'],
    ['an alternative goes', base.extend({ method: card }), '/method', 'backward'],
    ['an alternative changes', base.extend({ method: z.union([card, bill]) }), '/method/type', 'both'],
    ['what a record holds changes', base.extend({ facts: z.record(z.string(), z.number()) }), '/facts/*', 'both'],
  ] as const)('tells when %s', (_, now, pointer, direction) =>
    expect(compare(now as z.ZodObject)).toContainEqual(expect.objectContaining({ pointer, direction })),
  )
})

describe('a direction', () => {
  const [removed] = compare(base.omit({ id: true }))
  const [required] = compare(base.extend({ remark: z.string() }))
  const [changed] = compare(base.extend({ id: z.number() }))
  it.each([
    ['backward', [false, true, true]],
    ['forward', [true, false, true]],
    ['full', [true, true, true]],
  ] as const)('%s asks for what it promises', (direction, expected) =>
    expect([removed, required, changed].map((found) => breaks(direction, found!))).toEqual(expected),
  )
})

describe('currentSchemas', () => {
  it('describes the data of every type', () => {
    for (const { schema } of Object.values(currentSchemas())) expect(schema).toMatchObject({ type: 'object' })
  })
})
