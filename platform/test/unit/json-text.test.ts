import { describe, expect, it } from '@jest/globals'
import { array, assert, constantFrom, jsonValue, property } from 'fast-check'
import { jsonFault } from '../../src/api/json-text'

const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth)

describe('a JSON text', () => {
  it.each([
    ['two members of one name', '{"a":1,"b":{},"a":2}'],
    ['the same, equal', '{"a":1,"a":1}'],
    ['the same, deep inside', '[{"x":[{"a":{"b":[]},"c":0,"a":null}]}]'],
    ['the same, written differently', String.raw`{"a":1,"\u0061":2}`],
    ['the same, with a quotation mark in it', String.raw`{"a\"":1,"a\"":2}`],
    ['the same, with a backslash at its end', String.raw`{"a\\":1,"a\\":2}`],
    ['the same, after a value that looks like one', '{"a":"a","b":["a","a"],"a":1}'],
    ['an empty name twice', '{"":1,"":2}'],
  ])('with %s is refused', (_, text) => expect(jsonFault(text)).toMatch(/twice/))

  it.each([
    ['one name in several objects', '[{"a":1},{"a":{"a":1}},{"a":["a","a"]}]'],
    ['brackets and commas within texts', String.raw`{"a":"{\"a\":[[[,,,","b":"\\","c":"}}]]"}`],
    ['names that differ by case or form', '{"a":1,"A":2,"é":3,"e\u0301":4}'],
    ['a text that equals a name', '["a",{"a":"a"},"a"]'],
    ['a prototype', '{"__proto__":1,"constructor":2}'],
    ['nothing', ''],
  ])('with %s is the parser’s to judge', (_, text) => expect(jsonFault(text)).toBeUndefined())

  it('is 32 deep at most', () => {
    expect(jsonFault(nested(32))).toBeUndefined()
    expect(jsonFault(nested(33))).toMatch(/deeper than 32/)
    expect(jsonFault(nested(33, '{"a":', '}'))).toMatch(/deeper/)
  })

  it('holds 1,000 values at most', () => {
    const list = (length: number) => JSON.stringify(Array.from({ length }, () => 0))
    const members = (length: number) =>
      JSON.stringify(Object.fromEntries(Array.from({ length }, (_, i) => [`m${i}`, 0])))
    for (const make of [list, members]) {
      expect(jsonFault(make(1_000))).toBeUndefined()
      expect(jsonFault(make(1_001))).toMatch(/more than 1000/)
    }
  })

  it('of 64 kB costs little, however it is nested', () => {
    const hostile = [
      nested(32_000),
      '{"a":'.repeat(13_000),
      '\\'.repeat(64_000),
      '"'.repeat(64_000),
      `"${'\\"'.repeat(32_000)}`,
    ]
    const from = performance.now()
    for (const text of hostile) jsonFault(text)
    expect(performance.now() - from).toBeLessThan(200)
  })

  it('whatever it is, is looked through without a fault of ours', () => {
    const letters = constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'a', 'u', ' ', '\0', '\ud800')
    assert(
      property(array(letters, { maxLength: 60 }), (text) => {
        jsonFault(text.join(''))
      }),
    )
  })

  it('that was written by a serializer is taken', () =>
    assert(property(jsonValue({ maxDepth: 5 }), (value) => jsonFault(JSON.stringify(value)) === undefined)))
})
