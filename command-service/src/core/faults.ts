/** A part of the system that a command needs did not answer, and nothing was written by it. Worth asking again later. */
export class DependencyUnavailable extends Error {
  override readonly name = 'DependencyUnavailable'

  constructor(
    readonly dependency: 'event-log' | 'subject-keys',
    cause: unknown,
  ) {
    super(`${dependency} does not answer`, { cause })
  }
}

/** More work is waiting than may wait. Refused at once, before anything was written. */
export class Overloaded extends Error {
  override readonly name = 'Overloaded'

  constructor(
    readonly what: string,
    /** Seconds after which a place is likely to be free. */
    readonly retryAfterSeconds: number,
  ) {
    super(`too much waits for ${what}`)
  }
}

/** Whoever asks has asked for too much: within a time, or at once. Others are served meanwhile. */
export class TooManyRequests extends Error {
  override readonly name = 'TooManyRequests'

  constructor(readonly retryAfterSeconds: number) {
    super('one client asks for too much')
  }
}

/** `If-Match` named another revision than the stream's. */
export class RevisionMismatch extends Error {
  override readonly name = 'RevisionMismatch'

  constructor(
    readonly stream: string,
    readonly expected: number,
    readonly actual: number | undefined,
  ) {
    super(`${stream} is not at revision ${expected}`)
  }
}

/** Others kept appending to the stream for as many attempts as are made. */
export class ConcurrentChange extends Error {
  override readonly name = 'ConcurrentChange'
}

/** The idempotency key came before, with another request. */
export class IdempotencyKeyReused extends Error {
  override readonly name = 'IdempotencyKeyReused'
}

/** The same command is being worked on by this process. */
export class CommandInProgress extends Error {
  override readonly name = 'CommandInProgress'
}

/**
 * Personal data that a command needs does not open, or could be sealed only with a second key for a person who has one: the
 * row with that person's key was lost. Only an operator mends that; nobody else is touched by it.
 */
export class PersonalDataLocked extends Error {
  override readonly name = 'PersonalDataLocked'
}

/** A stream holds what this release can not fold: deciding on half of its facts would be wrong. */
export class UnreadableStream extends Error {
  override readonly name = 'UnreadableStream'
}

/** Address and password do not belong together; which of them is wrong is not said. */
export class InvalidCredentials extends Error {
  override readonly name = 'InvalidCredentials'
}
