import { describe, expect, it } from '@jest/globals'
import { manyFailures, stranger, trustOf } from '../../../src/accounts/trust'

describe('trust in whoever tries a password', () => {
  it('is one for a stranger', () => {
    expect(trustOf(stranger)).toBe(1)
    expect(trustOf({ ...stranger, recentFailures: manyFailures - 1 })).toBe(1)
  })

  it('grows with a network that is known, and with a program that is known there', () => {
    expect(trustOf({ ...stranger, isKnownNetwork: true })).toBe(2)
    expect(trustOf({ ...stranger, isKnownNetwork: true, isKnownDevice: true })).toBe(4)
  })

  it('does not grow with what anybody can say', () => {
    expect(trustOf({ ...stranger, isKnownDevice: true })).toBe(1)
  })

  it('is halved by many failures', () => {
    expect(trustOf({ ...stranger, recentFailures: manyFailures })).toBe(0.5)
    expect(trustOf({ isKnownNetwork: true, isKnownDevice: true, recentFailures: manyFailures })).toBe(2)
  })

  it('stays between a half and four, whatever is known', () => {
    for (const isKnownNetwork of [false, true])
      for (const isKnownDevice of [false, true])
        for (const recentFailures of [0, 1, manyFailures, 1e9, Number.MAX_SAFE_INTEGER]) {
          const score = trustOf({ isKnownNetwork, isKnownDevice, recentFailures })
          expect(score).toBeGreaterThanOrEqual(0.5)
          expect(score).toBeLessThanOrEqual(4)
        }
  })
})
