/**
 * SQLSTATE classes after which the same work may succeed later: connection (08), rollback (40: serialisation, deadlock),
 * resources (53), operator intervention (57: shutdown, cancel), lock not available (55P03).
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const transientClasses = new Set(['08', '40', '53', '57'])
const transientCodes = new Set(['55P03', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])

/** Whether to wait and repeat, rather than to treat the work itself as wrong. */
export function isTransientPostgresError(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (typeof code === 'string') return transientCodes.has(code) || transientClasses.has(code.slice(0, 2))
  // pg reports a lost connection and an exhausted pool by message only.
  return (
    typeof message === 'string' &&
    /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|connection error and is not queryable/i.test(
      message,
    )
  )
}
