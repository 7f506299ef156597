import { describe, expect, it } from '@jest/globals'
import { judge } from '../../marks.mjs'
import { readOptions } from '../../options.mjs'
import { watchGrowth } from '../../quiet.mjs'
import { report } from '../../report.mjs'
import { median, percentile, spread } from '../../statistics.mjs'

describe('statistics', () => {
  it('takes the middle of what was measured', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
  })

  it('gives percentiles that were measured, by nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
    expect(percentile(hundred, 0.5)).toBe(50)
    expect(percentile(hundred, 0.99)).toBe(99)
    expect(percentile(hundred, 1)).toBe(100)
    expect(percentile([7], 0.99)).toBe(7)
  })

  it('tells how far phases lie apart', () => {
    expect(spread([90, 100, 110])).toBeCloseTo(0.2)
    expect(spread([5])).toBe(0)
  })
})

describe('marks', () => {
  const figures = {
    relay: { perSecond: 8_000, barePerSecond: 10_000, ratio: 0.8 },
    visible: { p50Ms: 60, p99Ms: 251, ackP50Ms: 5, ackP99Ms: 20, lateP99Ms: 2, commands: 3_000, retries: 0 },
    commands: { perSecond: 900, barePerSecond: 3_100, ratio: 0.29, spread: 0.1, bareSpread: 0.1 },
  }

  it('are judged for what was measured, and for nothing else', () => {
    const verdicts = judge(figures).map(({ part, figure, reached }) => [part, figure, reached])
    expect(verdicts).toEqual([
      ['relay', 'perSecond', true],
      ['visible', 'p99Ms', false],
      ['commands', 'ratio', false],
    ])
  })

  it('are missed by a figure that is no number', () => {
    expect(judge({ relay: { ...figures.relay, perSecond: Number.NaN } })[0]!.reached).toBe(false)
  })

  it('are printed beside the figures', () => {
    const text = report(figures, { cores: 2 })
    expect(text).toMatch(/reached.*relay.*8,000 events\/s.*≥ 8,000/)
    expect(text).toMatch(/missed.*ack to visible, p99.*251 ms.*≤ 250/)
    expect(text).not.toMatch(/replay/)
  })
})

describe('options', () => {
  it('put the parts into the order in which they run', () => {
    expect(readOptions(['--only', 'commands,relay']).parts).toEqual(['relay', 'commands'])
    expect(readOptions([]).parts).toHaveLength(5)
  })

  it.each([
    ['--events', '10'],
    ['--events', '1e9'],
    ['--events', 'many'],
    ['--only', 'relai'],
    ['--onyl', 'relay'],
    ['x'],
  ])('refuse %s %s', (...args) => expect(() => readOptions(args.filter(Boolean))).toThrow())
})

describe('watching growth', () => {
  const { signal } = new AbortController()
  const quick = { everyMs: 1, quietMs: 30, withinMs: 2_000, signal }

  it('ends when nothing comes any more, and times from the first to the last', async () => {
    const values = [0, 0, 5, 8, 10]
    const watched = await watchGrowth({ ...quick, sample: async () => values.shift() ?? 10 })
    expect(watched).toMatchObject({ value: 10, first: 5 })
    expect(watched.ms).toBeLessThan(30)
  })

  it('gives up in time when nothing ever comes', () =>
    expect(watchGrowth({ ...quick, withinMs: 20, sample: async () => 0 })).rejects.toThrow('not done'))
})
