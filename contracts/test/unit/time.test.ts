import { describe, expect, it } from '@jest/globals'
import { CalendarDate, DateTime, notBeforeFirst, writtenTime } from '@annals/contracts'

describe('a point in time', () => {
  it.each([
    ['2026-11-01T12:00:00Z', '2026-11-01T12:00:00Z'],
    ['2026-11-01T12:00:00.5Z', '2026-11-01T12:00:00.5Z'],
    ['2026-11-01T12:00:00.123456789Z', '2026-11-01T12:00:00.123456Z'],
    ['2026-11-01T14:00:00+02:00', '2026-11-01T12:00:00Z'],
    ['2026-11-01T00:30:00.25+01:00', '2026-10-31T23:30:00.25Z'],
    ['2026-11-01T12:00:00-23:59', '2026-11-02T11:59:00Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%s is %s', (given, utc) => expect(DateTime.parse(given)).toBe(utc))

  it.each([
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '+010000-01-01T00:00:00Z',
    '10000-01-01T00:00:00Z',
    '-000001-01-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-01T24:00:00Z',
    '2026-11-01T12:00:60Z',
    '2026-11-01T12:00:00+24:00',
    '2026-11-01T12:00:00 02:00',
    '2026-11-01T12:00:00',
    '2026-11-01 12:00:00Z',
    '2026-11-01',
    '2026-11-01T12:00:00Z\0',
    '2026-11-01T12:00:00Z\n',
    `2026-11-01T12:00:00.${'0'.repeat(1_000)}Z`,
    'now',
    'infinity',
    '',
  ])('%j is refused', (given) => expect(DateTime.safeParse(given).success).toBe(false))

  it('is written into an event in UTC, of a year that can be stored', () => {
    expect(writtenTime.safeParse('2026-11-01T12:00:00.000Z').success).toBe(true)
    for (const given of ['0000-01-01T00:00:00Z', '2026-11-01T12:00:00+02:00'])
      expect(writtenTime.safeParse(given).success).toBe(false)
  })
})

describe('a day', () => {
  it.each(['0001-01-01', '2024-02-29', '9999-12-31'])('%s is one', (given) =>
    expect(CalendarDate.parse(given)).toBe(given),
  )
  it.each(['0000-12-31', '2026-02-30', '2025-02-29', '2026-2-1', '10000-01-01', '2026-11-01\0', 'today', ''])(
    '%j is refused',
    (given) => expect(CalendarDate.safeParse(given).success).toBe(false),
  )
  it('before all days is the first', () => expect(notBeforeFirst(-1e14)).toBe('0001-01-01T00:00:00.000Z'))
})
