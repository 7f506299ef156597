import { describe, expect, it } from '@jest/globals'
import { duration, timesReport } from '../../../terminal/durations.mjs'

describe('durations', () => {
  it.each([
    [0.04, '0.0 s'],
    [3.21, '3.2 s'],
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [245, '4 min 5 s'],
  ])('tells %d s as %s', (seconds, text) => expect(duration(seconds)).toBe(text))

  it('tells the parts, and the ten slowest files', () => {
    const files = Array.from({ length: 12 }, (_, i) => ({ name: `file-${i}`, seconds: i }))
    const lines = timesReport([{ name: 'unit', seconds: 30 }], files, 75).split('\n')
    expect(lines[2]).toMatch(/^ +30 s {2}unit$/)
    expect(lines.slice(4, 14).map((line) => line.trim().split(' ').at(-1))).toEqual(
      [11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map((i) => `file-${i}`),
    )
    expect(lines.at(-1)).toBe('Took 1 min 15 s.')
  })
})
