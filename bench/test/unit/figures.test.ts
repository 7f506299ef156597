import { describe, expect, it } from '@jest/globals'
import { judge } from '../../marks.mjs'
import { partNames, readOptions } from '../../options.mjs'
import { watchGrowth } from '../../quiet.mjs'
import { report } from '../../report.mjs'
import { createRandom } from '../../log/random.mjs'
import { scheduleOf } from '../../load/schedule.mjs'
import { swapLockMsOf } from '../../rebuild/output.mjs'
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
    relay: {
      perSecond: 8_000,
      barePerSecond: 10_000,
      ratio: 0.8,
      twoRoutesPerSecond: 10_000,
      twoRoutesOverOne: 1.25,
      twoRoutesCpuMicros: { 'relay-1': 25 },
    },
    visible: {
      p50Ms: 30,
      p99Ms: 71,
      ackP50Ms: 5,
      ackP99Ms: 20,
      lateP99Ms: 2,
      commands: 3_000,
      retries: 0,
      totalMicros: 9_000,
      at200: { p50Ms: 40, p99Ms: 150 },
      at200P99Ms: 150,
    },
    lanes: {
      6: { perSecond: 18_000, foldedPerSecond: 60_000, commandCpuMicros: { projector: 900, postgres: 700 }, p99Ms: 60 },
      24: {
        perSecond: 8_900,
        foldedPerSecond: 120_000,
        commandCpuMicros: { projector: 1_500, postgres: 1_100 },
        p99Ms: 65,
      },
      ratio24over6: 8_900 / 18_000,
      cpuRatio24over6: 2_600 / 1_600,
    },
    login: { perSecond: 36, bareBcryptPerSecond: 40, ratio: 0.9, spread: 0.1 },
    sessionCheck: {
      perSecond: 4_999,
      spread: 0.1,
      cpuMicros: { command: 130 },
      p99MsDuringLoginStorm: 50,
      loggedIn: 600,
      refused: 580,
      lateP99Ms: 2,
    },
    refresh: { perSecond: 800, spread: 0.1 },
    commands: { perSecond: 900, barePerSecond: 3_100, ratio: 0.29, spread: 0.1, bareSpread: 0.1 },
  }

  it('are judged for what was measured, and for nothing else', () => {
    const verdicts = judge(figures).map(({ part, figure, reached }) => [part, figure, reached])
    expect(verdicts).toEqual([
      ['relay', 'perSecond', true],
      ['relay', 'twoRoutesOverOne', false],
      ['visible', 'p99Ms', false],
      ['visible', 'at200P99Ms', true],
      ['visible', 'totalMicros', true],
      ['lanes', 'ratio24over6', false],
      ['lanes', 'cpuRatio24over6', false],
      ['login', 'ratio', true],
      ['sessionCheck', 'perSecond', false],
      ['sessionCheck', 'p99MsDuringLoginStorm', true],
      ['refresh', 'perSecond', true],
      ['commands', 'ratio', false],
    ])
  })

  it('are missed by a figure that is no number', () => {
    expect(judge({ relay: { ...figures.relay, perSecond: Number.NaN } })[0]!.reached).toBe(false)
  })

  it('of the replay at length are judged when it was measured so', () => {
    const short = { perSecond: 21_000, ratio: 0.75, peakRssMb: 399.9, swapLockMs: 100 }
    const long = { ...short, threeOverOne: 1.2, costGrowth1to5M: Number.NaN, queryP99Growth: 1.2 }
    const missed = (replay: Record<string, number>) =>
      judge({ replay })
        .filter(({ reached }) => !reached)
        .map(({ figure }) => figure)
    expect(judge({ replay: short })).toHaveLength(4)
    expect(missed(short)).toEqual(['swapLockMs'])
    expect(missed(long)).toEqual(['threeOverOne', 'costGrowth1to5M', 'swapLockMs'])
    // Measured in every form: were it not there, that would be a fault and no reason to pass over it.
    expect(missed({ perSecond: 21_000 })).toEqual(['ratio', 'peakRssMb', 'swapLockMs'])
  })

  it('are printed beside the figures', () => {
    const text = report(figures, { cores: 2 })
    expect(text).toMatch(/reached.*relay.*8,000 events\/s.*≥ 8,000/)
    expect(text).toMatch(/in two routes.*10,000 events\/s.*1\.25 of one; CPU µs each: relay-1 25/)
    expect(text).toMatch(/missed.*ack to visible, p99.*71 ms.*≤ 70/)
    expect(text).toMatch(/a lane of 24.*8,900 events\/s.*projector 1,500, postgres 1,100/)
    expect(text).not.toMatch(/replay/)
  })

  it('say of Emmett what is missing', () => {
    const bare = {
      barePerSecond: 40_000,
      bareSpread: 0.1,
      ratio: 0.7,
      perSecond: 28_000,
      events: 1_000_000,
      seconds: 36,
    }
    const text = report(
      {
        replay: {
          ...bare,
          at5: { ...bare, events: 5_000_000 },
          threeOverOne: 1.2,
          costGrowth1to5M: 1.05,
          bareCostGrowth1to5M: 1.01,
          peakRssMb: 300,
          swapLockMs: 20,
          queryP99Growth: 1.1,
          queryP99Ms: 12,
          queryP99Spread: 0.3,
          queryP99BesideMs: 13.2,
          throttle: 2_000,
          throttledSeconds: 25,
          lateP99Ms: 3,
          diskGb: 8,
          emmettPerSecond: 1_800,
          emmettComplete: false,
          emmettEvents: 1_000_000,
          emmettRows: 199_000,
          emmettRowsExpected: 200_000,
          emmettRowsMissing: 1_000,
          emmettRowsDifferent: 50,
        },
      },
      { cores: 2 },
    )
    expect(text).toMatch(
      /Emmett +1,800 events\/s +1,000,000 events; NOT complete: 199,000 of 200,000 rows, 1,000 missing, 50/,
    )
    expect(text).toMatch(
      /at 100 commands\/s +p99 13.2 ms +queries without it 12.0 ms ±15 %; throttled to 2,000\/s, 25 s long/,
    )
    expect(text).toMatch(/reached.*cost, five times the log.*1\.05.*< 1\.10/)
  })
})

describe('options', () => {
  it('put the parts into the order in which they run', () => {
    expect(readOptions(['--only', 'commands,relay']).parts).toEqual(['relay', 'commands'])
    expect(readOptions([]).parts).toEqual(partNames)
  })

  it('give the replay alone its long form, and a log of a million', () => {
    expect(readOptions(['--only', 'replay'])).toMatchObject({ long: true, events: 1_000_000, emmettEvents: 1_000_000 })
    expect(readOptions(['--only', 'replay', '--events', '20000'])).toMatchObject({ long: true, emmettEvents: 20_000 })
    expect(readOptions(['--only', 'replay,commands'])).toMatchObject({ long: false, events: 300_000 })
  })

  it.each([
    ['--only', 'replay', '--events', '1000001'],
    ['--only', 'replay', '--events', '2000', '--emmett-events', '2001'],
    ['--emmett-events', '1000'],
    ['--events', '10'],
    ['--events', '1e9'],
    ['--events', 'many'],
    ['--only', 'relai'],
    ['--onyl', 'relay'],
    ['x'],
  ])('refuse %s %s', (...args) => expect(() => readOptions(args.filter(Boolean))).toThrow())
})

describe('schedule of arrivals', () => {
  it('is ascending, as dense as asked, and the same each time', () => {
    const times = () => scheduleOf({ perSecond: 100, forMs: 60_000, random: createRandom(9) })
    expect(times()).toEqual(times().toSorted((a, b) => a - b))
    expect(Math.abs(times().length - 6_000)).toBeLessThan(300)
    expect(times().at(-1)).toBeLessThan(60_000)
  })
})

describe('output of the replay', () => {
  it('tells how long each swap kept projectors waiting', () => {
    const output = [
      'payments         12 rows equal the live ones, 12 streams folded again',
      'payments         version 1 is live; projectors waited 22 ms',
      'users            version 1 is live; projectors waited 1,204 ms',
    ]
    expect(swapLockMsOf(output.join('\n'))).toEqual([22, 1_204])
    expect(swapLockMsOf(output[0]!)).toEqual([])
  })
})

describe('watching growth', () => {
  const { signal } = new AbortController()
  const quick = { everyMs: 1, quietMs: 30, withinMs: 2_000, signal }

  it('ends when nothing comes any more, and times from the first to the last', async () => {
    const values = [0, 0, 5, 8, 10]
    // Long enough that a busy machine's pauses are not taken for the end.
    const quietMs = 500
    const watched = await watchGrowth({ ...quick, quietMs, sample: async () => values.shift() ?? 10 })
    expect(watched).toMatchObject({ value: 10, first: 5 })
    // The quiet at the end is not counted.
    expect(watched.ms).toBeLessThan(quietMs)
  })

  it('gives up in time when nothing ever comes', () =>
    expect(watchGrowth({ ...quick, withinMs: 20, sample: async () => 0 })).rejects.toThrow('not done'))
})
