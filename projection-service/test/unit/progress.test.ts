import { describe, expect, it } from '@jest/globals'
import { createProgress } from '../../src/replay/reporting/progress'
import { createRate } from '../../src/replay/reporting/rate'
import { ReportLine } from '../../src/replay/reporting/report'
import { createLines } from '../../src/replay/reporting/reporter'
import { duration } from '../../src/replay/reporting/words'

describe('a duration', () => {
  it.each([
    [0, '0s'],
    [59.4, '59s'],
    [60, '1m00s'],
    [200, '3m20s'],
    [3_900, '1h05m'],
    [3 * 86_400 + 4 * 3_600, '3d04h'],
    [Number.POSITIVE_INFINITY, '?'],
  ])('of %d s reads %s', (seconds, text) => expect(duration(seconds)).toBe(text))
})

describe('a rate', () => {
  it('looks at the last seconds, and the time left at all that was done', () => {
    let now = 0
    const rate = createRate(() => now)
    expect(rate(0, 0)).toEqual({ perSecond: 0, etaS: Number.POSITIVE_INFINITY })
    now = 10_000
    expect(rate(1_000, 0.25)).toMatchObject({ etaS: 30 })
    now = 14_000
    expect(rate(9_000, 0.5).perSecond).toBe(2_000)
  })
})

describe('progress without a terminal', () => {
  const told = () => {
    const lines: string[] = []
    let now = 0
    const clock = 1_000_000_000
    const output = { isTTY: false, write: (text: string) => lines.push(...text.split('\n').filter(Boolean)) }
    return {
      lines,
      progress: createProgress(
        output,
        () => now,
        () => clock,
      ),
      at: (ms: number) => (now = ms),
    }
  }

  it('writes a line every two seconds, of at most 80 columns', () => {
    const { lines, progress, at } = told()
    progress.stage('payment_history', 'folding')
    for (let ms = 0; ms <= 4_100; ms += 100) {
      at(ms)
      progress.progress({
        position: BigInt(ms * 1_000),
        end: 10_000_000n,
        events: ms * 1_000,
        recordedAt: 1_000_000_000 - 7_500_000,
      })
    }
    expect(lines).toEqual([
      'payment_history  folding the log',
      '  20%  2,000,000 events  1,000,000/s  8s left  lag 2h05m',
      '  40%  4,000,000 events  1,000,000/s  6s left  lag 2h05m',
    ])
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  const again = { sampled: 50, recounted: { rows: 500, streams: 500 } }

  it('tells what verification found and how long projectors waited', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'verifying')
    progress.stage('payments', 'swapping', { compared: true, rebuilt: { rows: '1234' }, ...again })
    progress.stage('payments', 'live', { version: 1, lockedMs: 12 })
    expect(lines.slice(1, 3)).toEqual([
      'payments         1,234 rows equal the live ones',
      '                 500 rows recounted, 50 streams folded again',
    ])
    expect(lines[3]).toMatch(/version 1 is live; projectors waited 12 ms/)
  })

  it('says that a first build has nothing to compare with', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'prepared', { firstBuild: true })
    progress.stage('payments', 'swapping', { compared: false, rebuilt: { rows: '1234' }, ...again })
    expect(lines[0]).toMatch(/first build: nothing to compare with/)
    expect(lines[1]).toMatch(/1,234 rows, not compared with live$/)
    expect(lines[2]).toMatch(/500 rows recounted, 50 streams folded again$/)
  })

  it('tells how a verification alone has ended', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'verified', { equal: true, compared: true, rebuilt: { rows: '1234' }, ...again })
    progress.stage('payments', 'verified', { equal: false, compared: true, rebuilt: { rows: '1234' } })
    expect(lines[0]).toMatch(/1,234 rows equal the live ones$/)
    expect(lines[2]).toMatch(/live and rebuilt differ/)
  })

  it('says where it goes on', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'prepared', { resumedAfter: 5_000 })
    expect(lines[0]).toMatch(/continues after 5,000 events/)
  })
})

describe('progress on a terminal', () => {
  const wipe = '\r\u001B[2K'

  it.each([80, 60, 40])('paints one line over and over, within %d columns, and wipes it', (columns) => {
    let written = ''
    let now = 0
    const output = { isTTY: true, columns, write: (text: string) => void (written += text) }
    const progress = createProgress(
      output,
      () => now,
      () => 1_000_000_000_000,
    )
    progress.stage('payments', 'folding')
    for (; now <= 10_000; now += 100) {
      progress.progress({ position: BigInt(now), end: 20_000n, events: now * 1_000, recordedAt: 1_000_000_000 })
    }
    progress.stage('payments', 'catching-up')
    const painted = written
      .replaceAll(wipe, '\n')
      .split('\n')
      .filter((line) => line.startsWith(' '))
    expect(painted.length).toBeGreaterThan(40)
    expect(Math.max(...painted.map((line) => line.length))).toBeLessThan(columns)
    expect(written).toMatch(/events {2}1,000,/)
    expect(written).toContain(`${wipe}payments         catching up`)
    expect(written.includes('█')).toBe(columns === 80)
  })
})

describe('lines for programs', () => {
  it('tell stages, progress and the result in the shape that is promised', () => {
    const lines: string[] = []
    let now = 0
    const told = createLines(
      (line) => lines.push(line),
      () => now,
      () => 10_000,
    )
    for (const name of ['payments', 'users']) told.stage(name, 'folding')
    for (; now <= 3_000; now += 100) {
      told.progress({ position: BigInt(now), end: 3_000n, events: now, recordedAt: now < 2_000 ? 5_000 : Number.NaN })
    }
    told.stage('users', 'verifying')
    told.progress({ position: 3_500n, end: 3_600n, events: 3_500, recordedAt: 10_000 })
    told.done({
      results: [{ projection: 'users', version: 1, events: 3_500, lockedMs: 4 }],
      seconds: 3.49,
      isSwapped: true,
    })
    const read = lines.map((line) => ReportLine.parse(JSON.parse(line)))
    expect(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1)).toBe(true)
    expect(read.map(({ event }) => event)).toEqual([
      ...['stage', 'stage', 'progress', 'progress', 'progress', 'progress', 'stage', 'done'],
    ])
    expect(read[3]).toMatchObject({
      projections: ['payments', 'users'],
      stage: 'folding',
      position: '1000',
      end: '3000',
      perSecond: 1_000,
      etaSeconds: 2,
      lagPositions: '2000',
      lagSeconds: 5,
    })
    expect(read[4]).toMatchObject({ lagSeconds: null })
    expect(read[5]).toMatchObject({ lagPositions: '0', lagSeconds: 0, etaSeconds: 0 })
    expect(read.at(-1)).toMatchObject({ event: 'done', events: 3_500, seconds: 3.5, exitCode: 0 })
  })
})
