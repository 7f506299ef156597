/**
 * SQLSTATE classes after which the same work may succeed later: connection (08), rollback (40: serialisation, deadlock),
 * resources (53), operator intervention (57: shutdown, cancel, statement timeout), lock not available (55P03), a transaction that
 * the server ended because it stood idle (25P03) or took too long (25P04).
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const transientClasses = new Set(['08', '40', '53', '57'])
const transientCodes = new Set([
  '55P03',
  '25P03',
  '25P04',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

/** pg reports by message only: a lost connection, an exhausted pool, an answer or a connection that did not come in time. */
const transientMessages =
  /Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|a connection beside it fell silent|Client was closed and is not queryable|Client has encountered a connection error|connection error and is not queryable/i

/** Whether to wait and repeat, rather than to treat the work itself as wrong. */
export function isTransientPostgresError(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (typeof code === 'string') return transientCodes.has(code) || transientClasses.has(code.slice(0, 2))
  return typeof message === 'string' && transientMessages.test(message)
}

/**
 * SQLSTATE class 22, data exception: a value is none that its type can hold (a NUL in a text, a day that the calendar has not). Where
 * all values of a statement come from a request, the request is wrong.
 */
export function isDataException(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && /^22[0-9A-Z]{3}$/.test(code)
}
