/**
 * PostgreSQL's text of a `timestamptz` (`2026-11-01 12:00:00.5+00`) as ISO 8601 in UTC, to the millisecond. Years below 100 are read by
 * hand: `Date` takes them for years of this century or the last. So are their zones, which have seconds.
 */
export function isoTime(text: string): string {
  if (!text.startsWith('00')) return new Date(text).toISOString()
  const [, day, time, sign, hours, minutes = '0', seconds = '0'] =
    /^(\S+) (\S+?)([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/.exec(text) ?? []
  const offsetMs = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000
  return new Date(Date.parse(`${day}T${time}Z`) - (sign === '-' ? -offsetMs : offsetMs)).toISOString()
}
