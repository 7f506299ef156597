import { describe, expect, it } from '@jest/globals'
import { beginsAt } from '../../../src/relay/pacing'

const now = 10_000

describe('the pace of transactions', () => {
  it('lets the first event, and one after a calm, pass at once', () => {
    expect(beginsAt(-Infinity, now)).toBe(now)
    expect(beginsAt(now - 50, now)).toBe(now)
    expect(beginsAt(now - 5_000, now)).toBe(now)
  })

  it('keeps an event until the calm that it would have met', () => expect(beginsAt(now - 40, now)).toBe(now + 10))

  it('lets others gather where transactions follow each other', () => expect(beginsAt(now - 28, now)).toBe(now + 20))

  it('keeps transactions apart, however many events wait', () => {
    expect(beginsAt(now, now - 4)).toBe(now + 25)
    expect(beginsAt(now, now)).toBe(now + 25)
  })

  it('never keeps an event for longer than 25 ms after it came and the transaction before began', () => {
    for (let began = now - 100; began <= now; began++) expect(beginsAt(began, now) - now).toBeLessThanOrEqual(25)
  })
})
