import { ErrorType } from '@eventstore/db-client'

/** An append that was sent and never answered: it may or may not be in the log. */
export class UnknownAppendOutcome extends Error {
  override readonly name = 'UnknownAppendOutcome'
}

/** The client's own errors carry a `type`, gRPC's a numeric `code`: both are asked, in this order. */
export function errorCode(error: unknown): string | number | undefined {
  const { type, code } = (error ?? {}) as { type?: string; code?: string | number }
  return type ?? code
}

/** Refusals after which nothing was written, and asking again would be refused again. */
const refusals = new Set<string | number>([
  ErrorType.WRONG_EXPECTED_VERSION,
  ErrorType.STREAM_DELETED,
  ErrorType.ACCESS_DENIED,
  ErrorType.MAXIMUM_APPEND_SIZE_EXCEEDED,
  ErrorType.INVALID_ARGUMENT,
  ErrorType.INVALID_TRANSACTION,
])

/** What is known after a failed append: another writer was first, the server refused, or nothing is known. */
export function appendErrorKind(error: unknown): 'conflict' | 'refused' | 'unknown' {
  const code = errorCode(error)
  if (code === ErrorType.WRONG_EXPECTED_VERSION) return 'conflict'
  return code !== undefined && refusals.has(code) ? 'refused' : 'unknown'
}
