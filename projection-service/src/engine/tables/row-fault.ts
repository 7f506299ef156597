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

/** Why PostgreSQL refuses a statement. Its own words may quote a row, save where it does not know or allow a name (class 42). */
export function refusalWords(error: unknown): string {
  if (error instanceof Error && String((error as { code?: unknown }).code).startsWith('42')) return error.message
  const { code, table, column, constraint } = error as Record<
    'code' | 'table' | 'column' | 'constraint',
    string | undefined
  >
  const where = [table && `table ${table}`, column && `column ${column}`, constraint && `constraint ${constraint}`]
  const known = where.filter(Boolean).join(', ')
  return `SQLSTATE ${code}${known && ` (${known})`}`
}

/** How an event is read whose row was refused: it is parked. */
export const refusedReading = (error: unknown): Reading => ({
  kind: 'invalid',
  reason: `PostgreSQL refuses the row that it leads to: ${refusalWords(error)}`,
})
