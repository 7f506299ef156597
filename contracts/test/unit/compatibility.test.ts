import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { compareSchemas, currentSchemas, type JsonSchema } from '@annals/contracts'

const base = z.object({
  id: z.string(),
  kind: z.enum(['a', 'b']),
  count: z.int().min(1).max(9),
  tags: z.array(z.string()),
})
const compare = (now: z.ZodObject) =>
  compareSchemas(z.toJSONSchema(base) as JsonSchema, z.toJSONSchema(now) as JsonSchema)

describe('compareSchemas', () => {
  it('finds nothing when nothing changed', () => expect(compare(base)).toEqual([]))
  it('lets an optional field come', () => expect(compare(base.extend({ note: z.string().optional() }))).toEqual([]))

  it.each([
    ['a field goes', base.omit({ id: true }), '/id', 'forward'],
    ['a required field comes', base.extend({ note: z.string() }), '/note', 'backward'],
    ['a field becomes optional', base.extend({ id: z.string().optional() }), '/id', 'forward'],
    ['a type changes', base.extend({ id: z.number() }), '/id', 'backward'],
    ['a value goes', base.extend({ kind: z.enum(['a']) }), '/kind', 'backward'],
    ['a value comes', base.extend({ kind: z.enum(['a', 'b', 'c']) }), '/kind', 'forward'],
    ['a minimum rises', base.extend({ count: z.int().min(2).max(9) }), '/count', 'backward'],
    ['a maximum rises', base.extend({ count: z.int().min(1).max(10) }), '/count', 'forward'],
    ['what an array holds changes', base.extend({ tags: z.array(z.number()) }), '/tags/items', 'backward'],
    ['a pattern comes', base.extend({ id: z.string().regex(/^x/) }), '/id', 'backward'],
  ] as const)('tells when %s', (_, now, pointer, direction) =>
    expect(compare(now as z.ZodObject)).toContainEqual(expect.objectContaining({ pointer, direction })),
  )
})

describe('currentSchemas', () => {
  it('describes the data of every type', () => {
    for (const { schema } of Object.values(currentSchemas())) expect(schema).toMatchObject({ type: 'object' })
  })
})
