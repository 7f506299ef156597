import { describe, expect, it } from '@jest/globals'
import { decodeCursor, encodeCursor, pageOf } from '../../src/query/cursor'

const point = { at: '2026-01-01T00:00:00.000Z', id: '0b54f1c9-7e16-4c3a-9d0e-6f8a3b1c2d4e' }
const encoded = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url')

describe('a cursor', () => {
  it('comes back as it was made', () =>
    expect(decodeCursor('payments', { a: 1 }, encodeCursor('payments', { a: 1 }, point))).toEqual(point))
  it('does not mind the order of filters', () =>
    expect(decodeCursor('l', { a: 1, b: 2 }, encodeCursor('l', { b: 2, a: 1 }, point))).toEqual(point))
  it('is nothing when there is none', () => expect(decodeCursor('payments', {}, undefined)).toBeUndefined())

  const good = JSON.parse(Buffer.from(encodeCursor('l', {}, point), 'base64url').toString())
  it.each([
    ['another list', encodeCursor('users', {}, point)],
    ['other filters', encodeCursor('l', { a: 1 }, point)],
    ['no JSON', 'nonsense'],
    ['nothing', ''],
    ['another version', encoded({ ...good, v: 2 })],
    ['a wrong time', encoded({ ...good, at: "'; drop" })],
    ['a wrong id', encoded({ ...good, id: '1' })],
    ['a surplus field', encoded({ ...good, extra: 1 })],
  ])('is refused with %s', (_, cursor) => expect(() => decodeCursor('l', {}, cursor)).toThrow(/nextCursor/))
})

describe('a page', () => {
  const page = (found: number[], limit: number) => pageOf(found, limit, (n) => n, String)
  it('has a cursor when there is more', () => expect(page([1, 2, 3], 2)).toEqual({ items: [1, 2], nextCursor: '2' }))
  it('has none when it is the last', () => expect(page([1, 2], 2)).toEqual({ items: [1, 2], nextCursor: null }))
  it('can be empty', () => expect(page([], 2)).toEqual({ items: [], nextCursor: null }))
})
