import { Metadata, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import type { ExpectedRevision } from '../rules/expected-revision'
import { NO_EVENTS } from '../rules/expected-revision'

/**
 * Errors as calls fail with them. The official client tells them apart by the trailer `exception`, and reads what else it
 * needs from further trailers.
 */
function failure(code: status, details: string, trailers: Record<string, string> = {}): ServiceError {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(trailers)) metadata.set(key, asciiTrailer(value))
  return Object.assign(new Error(details), { code, details, metadata })
}

/** Trailers are ASCII; a stream name with other characters is percent-encoded rather than lost with the whole error. */
const asciiTrailer = (value: string): string => (/^[\x20-\x7e]*$/.test(value) ? value : encodeURIComponent(value))

/** Numbers EventStoreDB gives to the named expectations, as its trailers carry them. */
const expectedNumbers = { no_stream: NO_EVENTS, any: -2, stream_exists: -4 } as const

export const invalidArgument = (details: string): ServiceError => failure(status.INVALID_ARGUMENT, details)

export const unavailable = (details: string): ServiceError => failure(status.UNAVAILABLE, details)

export const timedOut = (): ServiceError =>
  failure(status.DEADLINE_EXCEEDED, 'deadline exceeded before the write was begun')

export const streamDeleted = (stream: string): ServiceError =>
  failure(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, {
    exception: 'stream-deleted',
    'stream-name': stream,
  })

/** Of a deletion; an append is refused by its answer. `lastRevision` is told also where there are no events: -1. */
export const deleteRefused = (stream: string, expected: ExpectedRevision, lastRevision: number): ServiceError =>
  failure(
    status.FAILED_PRECONDITION,
    `Delete failed due to WrongExpectedVersion. Stream: ${stream}, Expected version: ${expected}, Actual version: ${lastRevision}`,
    {
      exception: 'wrong-expected-version',
      'stream-name': stream,
      'expected-version': String(typeof expected === 'number' ? expected : expectedNumbers[expected]),
      'actual-version': String(lastRevision),
    },
  )

export const maximumAppendSizeExceeded = (bytes: number): ServiceError =>
  failure(status.INVALID_ARGUMENT, `Maximum Append Size of ${bytes} Exceeded.`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(bytes),
  })

export const requiredMetadataMissing = (property: string): ServiceError =>
  failure(status.INVALID_ARGUMENT, `Required Metadata Property '${property}' is missing`, {
    exception: 'missing-required-metadata-property',
    'required-metadata-properties': property,
  })

/** Any error as a call may fail with it: a fault of ours says nothing of its inside. */
export function toServiceError(error: unknown): ServiceError {
  if (error instanceof Error && 'code' in error && 'metadata' in error) return error as ServiceError
  return failure(status.INTERNAL, 'internal error')
}
