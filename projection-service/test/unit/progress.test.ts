import { describe, expect, it } from '@jest/globals'
import { createProgress, createRate, duration } from '../../src/replay/progress'

describe('a duration', () => {
  it.each([
    [0, '0s'],
    [59.4, '59s'],
    [60, '1m00s'],
    [200, '3m20s'],
    [3_900, '1h05m'],
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
    const output = { isTTY: false, write: (text: string) => lines.push(...text.split('\n').filter(Boolean)) }
    return { lines, progress: createProgress(output, () => now), at: (ms: number) => (now = ms) }
  }

  it('writes a line every two seconds, of at most 80 columns', () => {
    const { lines, progress, at } = told()
    progress.stage('payment_history', 'folding')
    for (let ms = 0; ms <= 4_100; ms += 100) {
      at(ms)
      progress.progress(BigInt(ms * 1_000), 10_000_000n, ms * 1_000)
    }
    expect(lines).toEqual([
      'payment_history  folding the log',
      '  20%  2,000,000 events  1,000,000/s  8s left',
      '  40%  4,000,000 events  1,000,000/s  6s left',
    ])
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('tells what verification found and how long projectors waited', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'verifying')
    progress.stage('payments', 'swapping', { compared: true, rebuilt: { rows: '1234' }, sampled: 50 })
    progress.stage('payments', 'live', { version: 1, lockedMs: 12 })
    expect(lines[1]).toMatch(/1,234 rows equal the live ones, 50 streams folded afresh/)
    expect(lines[2]).toMatch(/version 1 is live; projectors waited 12 ms/)
  })

  it('says that a first build has nothing to compare with', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'prepared', { firstBuild: true })
    progress.stage('payments', 'swapping', { compared: false, rebuilt: { rows: '1234' }, sampled: 50 })
    expect(lines[0]).toMatch(/first build: nothing to compare with/)
    expect(lines[1]).toMatch(/1,234 rows, not compared with live, 50 streams folded afresh/)
  })

  it('tells how a verification alone has ended', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'verified', { equal: true, compared: true, rebuilt: { rows: '1234' }, sampled: 50 })
    progress.stage('payments', 'verified', { equal: false, compared: true, rebuilt: { rows: '1234' } })
    expect(lines[0]).toMatch(/1,234 rows equal the live ones, 50 streams folded afresh/)
    expect(lines[1]).toMatch(/live and rebuilt differ/)
  })

  it('says where it goes on', () => {
    const { lines, progress } = told()
    progress.stage('payments', 'prepared', { resumedAfter: 5_000 })
    expect(lines[0]).toMatch(/goes on after 5,000 events/)
  })
})
