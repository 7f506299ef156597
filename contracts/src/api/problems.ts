import { z } from 'zod'

/** An error as HTTP tells it: RFC 9457, with a stable `code` that programs may test and a `detail` that people read. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  /** Correlation id of the request: what to quote when asking about it. */
  correlationId: z.string().optional(),
  /** For `invalid-request`: one entry per fault, with the place as a JSON pointer. */
  errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
  /** For `authentication-too-old`: the route by which to show again who one is, and how many seconds ago may be at most. */
  stepUp: z.string().optional(),
  maxAgeSeconds: z.int().optional(),
})
export type Problem = z.infer<typeof Problem>

/** Every code an API of Annals answers with. A missing row does not compile where the table is read by code. */
export const problems = {
  'invalid-request': { status: 400, title: 'The request is not valid' },
  'invalid-consistency-token': { status: 400, title: 'The consistency token is not one of ours' },
  'invalid-cursor': { status: 400, title: 'The cursor is not one of ours' },
  'idempotency-key-required': { status: 400, title: 'This request needs an Idempotency-Key' },
  unauthenticated: { status: 401, title: 'A valid access token is needed' },
  'invalid-credentials': { status: 401, title: 'E-mail address or password is wrong' },
  'challenge-failed': { status: 401, title: 'The code or link is not valid, or not any more' },
  'invalid-refresh-token': { status: 401, title: 'The refresh token is not valid' },
  'session-ended': { status: 401, title: 'The session has ended' },
  forbidden: { status: 403, title: 'This needs another role' },
  'cross-site-refused': { status: 403, title: 'A request with cookies needs a page and a proof that may send it' },
  'authentication-too-old': { status: 403, title: 'This needs proof that you are there now' },
  'account-disabled': { status: 403, title: 'The account is disabled' },
  'not-found': { status: 404, title: 'Not found' },
  'user-not-found': { status: 404, title: 'There is no such user' },
  'role-not-found': { status: 404, title: 'There is no such role' },
  'factor-not-found': { status: 404, title: 'There is no such factor' },
  'session-not-found': { status: 404, title: 'There is no such session' },
  'payment-not-found': { status: 404, title: 'There is no such payment' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'email-taken': { status: 409, title: 'The e-mail address is already registered' },
  'address-not-proved': { status: 409, title: 'There is no address that codes could be sent to' },
  'factor-missing': { status: 409, title: 'The account has no second factor that these could stand in for' },
  'too-many-factors': { status: 409, title: 'The account has as many factors as it may have' },
  'passkey-taken': { status: 409, title: 'The passkey is registered already' },
  'registration-superseded': { status: 409, title: 'Somebody else has proved the address first' },
  'role-built-in': { status: 409, title: 'The role is built in and stays as it is' },
  'erasure-scheduled': { status: 409, title: 'The account is about to be erased; cancel that first' },
  'payment-not-processable': { status: 409, title: 'The payment cannot be processed any more' },
  'command-in-progress': { status: 409, title: 'A request with this Idempotency-Key is still running' },
  'concurrent-change': { status: 409, title: 'Others kept changing it at the same time' },
  deleted: { status: 410, title: 'It was deleted for good' },
  'revision-mismatch': { status: 412, title: 'It has changed since the named revision' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'payload-too-large': { status: 413, title: 'The body is too large' },
  'uri-too-long': { status: 414, title: 'A part of the address is too long' },
  'unsupported-media-type': { status: 415, title: 'The body must be application/json' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key was used for another request' },
  'amount-not-representable': { status: 422, title: 'The amount does not fit its currency' },
  'password-too-short': { status: 422, title: 'The password is too short' },
  'password-too-common': { status: 422, title: 'The password is too common' },
  'card-number-refused': { status: 422, title: 'The number of a payment card does not belong there' },
  'amount-too-large': { status: 422, title: 'The amount is larger than a payment may be' },
  'too-many-changes': { status: 429, title: 'The account was changed too often; it may be changed again tomorrow' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'header-fields-too-large': { status: 431, title: 'The header is too large' },
  'internal-error': { status: 500, title: 'Something went wrong here' },
  stopping: { status: 503, title: 'This process is about to end; another one will answer' },
  overloaded: { status: 503, title: 'Too much work is waiting; try again later' },
  'dependency-unavailable': {
    status: 503,
    title: 'A part of the system does not answer; nothing is known to have changed',
  },
  'personal-data-locked': { status: 503, title: 'The key to the personal data of this person is missing' },
  'read-model-behind': { status: 503, title: 'The read model has not reached the named point yet' },
  'read-model-parked': { status: 503, title: 'An event of this could not be applied; an operator has to look at it' },
  'read-model-of-another-log': { status: 503, title: 'The read model does not belong to this log, or is ahead of it' },
  'read-model-rebuilding': { status: 503, title: 'The read model is not there yet' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemCode = keyof typeof problems

/** Base of the `type` URIs of problems; the documents under docs/problems/ explain each code. */
export const problemType = (code: ProblemCode) => `urn:annals:problem:${code}`
