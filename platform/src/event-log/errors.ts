import { ErrorType } from '@eventstore/db-client'

/** An append that was sent and never answered: it may or may not be in the log. */
export class UnknownAppendOutcome extends Error {
  override readonly name = 'UnknownAppendOutcome'
}

/** The stream was deleted for good (a tombstone): nothing can be read from it or appended to it any more. */
export class StreamDeleted extends Error {
  override readonly name = 'StreamDeleted'
  constructor(
    readonly stream: string,
    options?: ErrorOptions,
  ) {
    super(`stream ${stream} was deleted for good`, options)
  }
}

/** The log is not the one that was read before: it was restored from an older copy, or is another one. */
export class LogChanged extends Error {
  override readonly name = 'LogChanged'
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
  if (error instanceof StreamDeleted) return 'refused'
  const code = errorCode(error)
  if (code === ErrorType.WRONG_EXPECTED_VERSION) return 'conflict'
  return code !== undefined && refusals.has(code) ? 'refused' : 'unknown'
}

/**
 * What a server says to a position that it does not have: EventStoreDB's positions are places in its files, and one that lies
 * beyond the end or inside a record can be refused. A connection that broke has codes of its own, except when the
 * server resets a call: that is a refusal only when it is repeated.
 */
export const isRefusedPosition = (error: unknown): boolean => {
  const code = errorCode(error)
  return code === ErrorType.UNKNOWN || code === ErrorType.INVALID_ARGUMENT
}
