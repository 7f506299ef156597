import { describe, expect, it } from '@jest/globals'
import {
  isSoftDeleted,
  parseStreamMetadata,
  readableWindow,
  recreatedMetadata,
  softDeleteMetadata,
} from '../../src/rules/stream-metadata'

describe('parseStreamMetadata', () => {
  it('takes the limits, the age in milliseconds', () =>
    expect(parseStreamMetadata('{"$maxCount":3,"$maxAge":2,"$tb":4,"$acl":{},"own":1}')).toEqual({
      maxCount: 3,
      maxAgeMs: 2_000,
      truncateBefore: 4,
    }))
  it.each(['', 'no json', '[]', '3', 'null'])('takes nothing from %j', (json) =>
    expect(parseStreamMetadata(json)).toEqual({}),
  )
  it('leaves out what makes no sense and keeps the rest', () =>
    expect(parseStreamMetadata('{"$maxCount":-1,"$maxAge":"soon","$tb":2}')).toEqual({ truncateBefore: 2 }))
  it('knows a soft-deleted stream by what EventStoreDB writes', () =>
    expect(isSoftDeleted(parseStreamMetadata(softDeleteMetadata))).toBe(true))
  it('does not take another truncation for it', () =>
    expect(isSoftDeleted(parseStreamMetadata('{"$tb":9007199254740991}'))).toBe(false))
})

describe('recreatedMetadata', () => {
  it('shows what comes after, and keeps the other fields', () =>
    expect(JSON.parse(recreatedMetadata('{"$tb":9223372036854775807,"own":"x"}', 5))).toEqual({ $tb: 5, own: 'x' }))
})

describe('readableWindow', () => {
  it('shows everything without limits', () =>
    expect(readableWindow({}, 9, 1_000)).toEqual({ firstRevision: 0, createdFrom: 0 }))
  it('shows the last events by count', () => expect(readableWindow({ maxCount: 3 }, 9, 0).firstRevision).toBe(7))
  it('shows all when there are fewer', () => expect(readableWindow({ maxCount: 30 }, 9, 0).firstRevision).toBe(0))
  it('takes the stricter of count and truncation', () =>
    expect(readableWindow({ maxCount: 3, truncateBefore: 8 }, 9, 0).firstRevision).toBe(8))
  it('shows what is young enough', () => expect(readableWindow({ maxAgeMs: 300 }, 9, 1_000).createdFrom).toBe(700))
})
