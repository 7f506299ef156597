import { describe, expect, it } from '@jest/globals'
import { createThrottle, paceOf } from '../../src/replay/fold/pace'

/** A pass over a clock of its own: steps of `events` each, with timers late by `lateMs`. */
function passAt(throttle: number, { events, lateMs = 0 }: { events: number; lateMs?: number }) {
  const clock = { ms: 0 }
  const waitAfter = createThrottle(throttle, () => clock.ms)
  return {
    clock,
    /** @returns events of the steps begun until then. */
    run(untilMs: number, stepMs: number): number {
      let begun = 0
      while (clock.ms < untilMs) {
        begun += events
        clock.ms += stepMs
        const waitMs = waitAfter(events)
        if (waitMs > 0) clock.ms += waitMs + lateMs
      }
      return begun
    },
  }
}

describe('a throttle', () => {
  it('keeps the rate, with steps that take a while and timers that come late', () => {
    const pass = passAt(1_000, { events: 100, lateMs: 3 })
    expect(pass.run(60_000, 20)).toBeGreaterThanOrEqual(59_900)
    expect(pass.run(120_000, 20)).toBeLessThanOrEqual(60_100)
  })

  it('does not make up for a stall', () => {
    const pass = passAt(1_000, { events: 100 })
    pass.run(10_000, 5)
    // A server was away.
    pass.run(pass.clock.ms + 1, 30_000)
    const inOneSecond = pass.run(pass.clock.ms + 1_000, 5)
    expect(inOneSecond).toBeGreaterThanOrEqual(1_000)
    expect(inOneSecond).toBeLessThanOrEqual(1_200)
  })

  it('does not hold up a pass that is slower anyway', () => {
    const pass = passAt(1_000, { events: 100 })
    pass.run(10_000, 250)
    expect(pass.clock.ms).toBe(10_000)
  })

  it('is not there where none was asked for', () => {
    const waitAfter = createThrottle(undefined, () => 0)
    expect(waitAfter(1_000_000)).toBe(0)
  })
})

describe('the pace', () => {
  it('of a throttled pass is ten steps a second, and never larger steps than an unthrottled one takes', () => {
    expect(paceOf(1_000)).toMatchObject({ readSize: 100, foldSize: 100, parallel: false })
    expect(paceOf(7)).toMatchObject({ readSize: 1, foldSize: 1 })
    const fast = paceOf(undefined)
    expect(paceOf(1_000_000)).toMatchObject({ readSize: fast.readSize, foldSize: fast.foldSize })
  })
})
