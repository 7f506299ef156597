import { describe, expect, it } from '@jest/globals'
import { eventFilter } from '../../src/rules/event-filter'

describe('eventFilter', () => {
  it('lets pass what begins with one of the prefixes', () => {
    const filter = eventFilter('stream', { prefixes: ['user-', 'payment-'] })
    expect(['user-1', 'payment-2', 'session-3', 'a-user-1'].filter((name) => filter.matches(name))).toEqual([
      'user-1',
      'payment-2',
    ])
  })
  it('lets pass what the regex finds, and says the same when asked again', () => {
    const filter = eventFilter('type', { regex: '^[^$].*' })
    for (let time = 0; time < 2; time++) {
      expect(filter.matches('user.registered')).toBe(true)
      expect(filter.matches('$metadata')).toBe(false)
    }
  })
  it('still decides rightly after more names than it remembers', () => {
    const filter = eventFilter('stream', { regex: '7$' })
    const passed = Array.from({ length: 25_000 }, (_, n) => String(n)).filter((name) => filter.matches(name))
    expect(passed).toHaveLength(2_500)
  })
  it('refuses a regex that is none', () =>
    expect(() => eventFilter('type', { regex: '(' })).toThrow('filter regex is no expression that RE2 knows'))
  it('decides in a time that does not explode, whatever the regex', () => {
    const filter = eventFilter('stream', { regex: '^redos-(a+)+$' })
    expect(filter.matches(`redos-${'a'.repeat(50_000)}!`)).toBe(false)
    expect(filter.matches(`redos-${'a'.repeat(50_000)}`)).toBe(true)
  })
  it('refuses a regex that is too long', () =>
    expect(() => eventFilter('type', { regex: 'a'.repeat(2_001) })).toThrow(RangeError))
  it('refuses too many prefixes', () =>
    expect(() => eventFilter('type', { prefixes: Array.from({ length: 1_001 }, String) })).toThrow(RangeError))
})
