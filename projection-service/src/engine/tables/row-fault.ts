import { isDataException } from '@annals/platform/postgres'
import type { Reading } from '../fold/fold'

/**
 * Whether PostgreSQL refuses values: those that can not be (SQLSTATE class 22), that break a rule of the table (23), or pass a limit
 * of the server (54). Everything else, a missing table or right included, is not the event's fault.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isRowFault(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return isDataException(error) || (typeof code === 'string' && /^(23|54)[0-9A-Z]{3}$/.test(code))
}

/** How an event is read whose row was refused: it is parked. The server's own words may quote the row, and are not repeated. */
export function refusedReading(error: unknown): Reading {
  const { code, column, constraint } = error as { code: string; column?: string; constraint?: string }
  const where = [column && `column ${column}`, constraint && `constraint ${constraint}`].filter(Boolean).join(', ')
  return {
    kind: 'invalid',
    reason: `PostgreSQL refuses the row that it leads to: SQLSTATE ${code}${where && ` (${where})`}`,
  }
}
