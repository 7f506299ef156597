import { describe, expect, it } from '@jest/globals'
import { startOffset } from '../../src/kafka/consumer'

describe('where a partition is read from', () => {
  const range = { low: 10n, high: 20n }

  it('is its first record when there is no position yet', () => expect(startOffset(undefined, range)).toBe(10n))
  it.each([10n, 15n, 20n])('is the position %s when the partition has it, or will', (position) =>
    expect(startOffset(position, range)).toBe(position),
  )
  it('is nowhere when records before it were deleted: a hole', () =>
    expect(startOffset(9n, range)).toMatch(/begins at 10: records are missing/))
  it('is nowhere when the partition ends before it: another topic of the same name', () =>
    expect(startOffset(21n, range)).toMatch(/ends at 20/))
})
