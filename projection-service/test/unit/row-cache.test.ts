import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { RowCache } from '../../src/replay/fold/row-cache'

describe('a row cache', () => {
  it('inserts what is new and replaces what the table holds', () => {
    const cache = new RowCache<number>(10, true)
    cache.set('a', 1)
    expect([...cache.beginFlush().inserts]).toEqual([['a', 1]])
    cache.set('a', 2)
    cache.set('b', 1)
    cache.endFlush()
    const { inserts, replacements } = cache.beginFlush()
    expect([...inserts]).toEqual([['b', 1]])
    expect([...replacements]).toEqual([['a', 2]])
  })

  it('needs no look into a table that began empty, until something was left out', () => {
    const cache = new RowCache<number>(1, true)
    expect(cache.isUnknown('a')).toBe(false)
    for (const name of ['a', 'b']) cache.set(name, 1)
    cache.beginFlush()
    cache.endFlush()
    cache.trim()
    expect(cache.isUnknown('a')).toBe(true)
    expect(cache.get('b')).toBe(1)
  })

  it('asks for everything when the table was not empty', () =>
    expect(new RowCache<number>(10, false).isUnknown('a')).toBe(true))

  it('writes the same table as one without a bound, however flushes fall', () => {
    const step = fc.oneof(
      fc.record({ set: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
      fc.constant('flush' as const),
      fc.constant('trim' as const),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 3 }), (steps, cleanMax) => {
        const cache = new RowCache<number>(cleanMax, true)
        const table = new Map<string, number>()
        const expected = new Map<string, number>()
        const flush = () => {
          const { inserts, replacements } = cache.beginFlush()
          for (const [name, value] of inserts) {
            expect(table.has(name)).toBe(false)
            table.set(name, value)
          }
          for (const [name, value] of replacements) {
            expect(table.has(name)).toBe(true)
            table.set(name, value)
          }
          cache.endFlush()
        }
        for (const step of steps) {
          if (step === 'flush') flush()
          else if (step === 'trim') cache.trim()
          else {
            const { set: name } = step
            if (cache.isUnknown(name) && table.has(name)) cache.loaded(name, table.get(name)!)
            const next = (cache.get(name) ?? 0) + 1
            cache.set(name, next)
            expected.set(name, (expected.get(name) ?? 0) + 1)
          }
        }
        flush()
        expect(table).toEqual(expected)
      }),
    )
  })
})
