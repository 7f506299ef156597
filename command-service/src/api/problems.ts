import { paymentMinorMax, type ProblemCode } from '@annals/contracts'
import { StreamDeleted, UnknownAppendOutcome } from '@annals/platform/event-log'
import { HttpProblem } from '@annals/platform/api'
import { Rejected, type RejectionCode } from '../core/rejected'
import {
  CommandInProgress,
  ConcurrentChange,
  DependencyUnavailable,
  IdempotencyKeyReused,
  InvalidCredentials,
  Overloaded,
  PersonalDataLocked,
  RevisionMismatch,
  TooManyRequests,
} from '../core/faults'

/** Each reason to refuse is one problem; a reason without its row does not compile. `detail`: what to do about it. */
const rejections: Record<RejectionCode, { problem: ProblemCode; detail?: string }> = {
  'account-disabled': {
    problem: 'account-disabled',
    detail: 'Ask whoever runs this service why; if it is to be erased, its owner can cancel that.',
  },
  'address-not-proved': {
    problem: 'address-not-proved',
    detail: 'Prove the e-mail address or the phone number of the account first.',
  },
  'amount-too-large': {
    problem: 'amount-too-large',
    detail: `A payment is at most ${paymentMinorMax} of the smallest unit of its currency.`,
  },
  'card-number-refused': {
    problem: 'card-number-refused',
    detail: 'Give the card to the payment gateway, and its token to us.',
  },
  'challenge-failed': {
    problem: 'challenge-failed',
    detail: 'Check it, or ask for a new one: a code is valid for some minutes, a few attempts and one use.',
  },
  'concurrent-change': {
    problem: 'concurrent-change',
    detail: 'Nothing was changed; look at it again, and repeat the request.',
  },
  'email-taken': { problem: 'email-taken', detail: 'Log in with this address, or register another one.' },
  'erasure-scheduled': { problem: 'erasure-scheduled', detail: 'Its owner can cancel the erasure.' },
  'factor-missing': { problem: 'factor-missing', detail: 'Add another second factor first.' },
  'factor-not-found': { problem: 'factor-not-found' },
  'invalid-refresh-token': { problem: 'invalid-refresh-token', detail: 'Log in again.' },
  'passkey-taken': { problem: 'passkey-taken', detail: 'Register another one.' },
  'password-too-common': {
    problem: 'password-too-common',
    detail:
      'It is guessed first: it holds little more than common passwords, the address, the name, rows of keys or ' +
      'repetitions. Put several words together that have nothing to do with each other.',
  },
  'password-too-short': {
    problem: 'password-too-short',
    detail: 'Without a second factor it needs 15 characters or more. Put several words together.',
  },
  'payment-not-found': { problem: 'payment-not-found' },
  'payment-not-processable': {
    problem: 'payment-not-processable',
    detail: 'The payment gateway has refused it. This is final: create another payment.',
  },
  'registration-superseded': {
    problem: 'registration-superseded',
    detail: 'Another attempt for this address was completed. Log in with its password, or ask for a new one.',
  },
  'role-built-in': { problem: 'role-built-in', detail: 'Define a role under another name.' },
  'role-not-found': { problem: 'role-not-found', detail: 'Define it first, or name another one.' },
  'session-not-found': { problem: 'session-not-found' },
  'session-ended': { problem: 'session-ended', detail: 'Log in again.' },
  'too-many-changes': {
    problem: 'too-many-changes',
    detail: 'An account may be changed 200 times, and once more each day. Nothing was changed.',
  },
  'too-many-factors': { problem: 'too-many-factors', detail: 'Remove one first.' },
  'user-not-found': { problem: 'user-not-found' },
}

/** A fault of a moment: long enough to let a restart finish, short enough for a person who waits. */
const retryAfterFault = { 'retry-after': '2' }

/** Turns what a command throws into the answer; `undefined`: a fault of ours. */
export function toProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof Rejected) {
    const { problem, detail } = rejections[error.code]
    return problemOf(problem, detail)
  }
  if (error instanceof InvalidCredentials) return problemOf('invalid-credentials')
  if (error instanceof TooManyRequests)
    return problemOf('too-many-requests', 'Wait as long as "Retry-After" says.', retryAfter(error.retryAfterSeconds))
  if (error instanceof Overloaded)
    return problemOf('overloaded', 'Nothing was changed.', retryAfter(error.retryAfterSeconds))
  if (error instanceof CommandInProgress)
    return problemOf('command-in-progress', 'Repeat the request to get its answer.', retryAfter(1))
  if (error instanceof IdempotencyKeyReused)
    return problemOf('idempotency-key-reused', 'Take a new key for a new request, or repeat the first one unchanged.')
  if (error instanceof ConcurrentChange)
    return problemOf('concurrent-change', 'Nothing was changed; repeat the request.', retryAfter(1))
  if (error instanceof RevisionMismatch)
    return problemOf('revision-mismatch', 'Read it again, and decide on what it is now. Nothing was changed.')
  if (error instanceof StreamDeleted)
    return problemOf('deleted', 'Whoever keeps the log has deleted it; it can not be brought back.')
  if (error instanceof PersonalDataLocked)
    return new HttpProblem('personal-data-locked', {
      detail: 'An operator has to restore the key of this person. Nothing was changed.',
      headers: retryAfter(60),
      cause: error,
    })
  if (error instanceof DependencyUnavailable)
    return new HttpProblem('dependency-unavailable', {
      detail: 'Repeat the request. With the same Idempotency-Key it is carried out once at most.',
      headers: retryAfterFault,
      cause: error,
    })
  if (error instanceof UnknownAppendOutcome)
    return new HttpProblem('dependency-unavailable', {
      detail:
        'It is not known whether the change was recorded. Repeating the request with the same Idempotency-Key is safe: it is carried out once at most.',
      headers: retryAfterFault,
      cause: error,
    })
  return undefined
}

const problemOf = (code: ProblemCode, detail?: string, headers: Record<string, string> = {}) =>
  new HttpProblem(code, { ...(detail ? { detail } : {}), headers })

const retryAfter = (seconds: number) => ({ 'retry-after': String(seconds) })
