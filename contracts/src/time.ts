import { z } from 'zod'

/** First and last instant that every store and every reader of ours can hold: years 0001 to 9999, UTC. */
const firstInstant = '0001-01-01T00:00:00.000Z'
const lastInstant = '9999-12-31T23:59:59.999Z'
const firstMs = Date.parse(firstInstant)
const lastMs = Date.parse(lastInstant)

/** First day that can be asked for: where a default reaches back further, it ends here. */
export const firstDay = firstInstant.slice(0, 10)

/** A time that is not before all times that can be stored. @param ms epoch ms. @returns ISO 8601, UTC. */
export const notBeforeFirst = (ms: number): string => new Date(Math.max(ms, firstMs)).toISOString()

const isWithin = (text: string) => {
  const ms = Date.parse(text)
  return ms >= firstMs && ms <= lastMs
}

/** Microseconds, as PostgreSQL compares them. */
const fractionDigitsMax = 6

/** In UTC, with the digits of the second that it came with. What is no time stays as it is, and is refused. */
function toUtc(text: string): string {
  const [, head, fraction = '', zone] = /^(.+T\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? []
  const ms = head === undefined ? Number.NaN : Date.parse(`${head}${zone}`)
  if (Number.isNaN(ms) || ms < firstMs || ms > lastMs) return text
  const digits = fraction.slice(0, fractionDigitsMax)
  return new Date(ms).toISOString().replace('.000Z', digits ? `.${digits}Z` : 'Z')
}

/**
 * A point in time as a client names it: RFC 3339 with `Z` or an offset, a day that the calendar has, years 0001 to 9999 (in UTC as
 * well). Read as UTC; digits beyond microseconds are dropped. No leap seconds, and `T` and `Z` in capitals.
 */
export const DateTime = z.iso
  .datetime({ offset: true, error: 'must be a time such as "2026-11-01T12:00:00Z" or "2026-11-01T14:00:00%2B02:00"' })
  .max(64)
  .overwrite(toUtc)
  .refine(isWithin, 'must lie in the years 0001 to 9999, UTC')
  .describe('RFC 3339, with "Z" or an offset ("+" is written %2B in an address); years 0001 to 9999, UTC')

/** A day as a client names it: one that the calendar has, years 0001 to 9999. */
export const CalendarDate = z.iso
  .date('must be a day such as "2026-11-01"')
  .refine((text) => text >= firstDay, 'must lie in the years 0001 to 9999')
  .describe('ISO 8601; years 0001 to 9999')

/** A point in time as an event is written with it: UTC, years 0001 to 9999. */
export const writtenTime = z.iso.datetime().refine(isWithin, 'must lie in the years 0001 to 9999, UTC')
