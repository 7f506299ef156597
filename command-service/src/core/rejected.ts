/** Every reason for which a decision refuses. Each has its row in the table of problems, or nothing compiles. */
export type RejectionCode =
  | 'account-disabled'
  | 'address-not-proved'
  | 'amount-too-large'
  | 'card-number-refused'
  | 'challenge-failed'
  | 'concurrent-change'
  | 'email-taken'
  | 'erasure-scheduled'
  | 'factor-missing'
  | 'factor-not-found'
  | 'invalid-refresh-token'
  | 'passkey-taken'
  | 'password-too-common'
  | 'password-too-short'
  | 'payment-not-found'
  | 'payment-not-processable'
  | 'registration-superseded'
  | 'role-built-in'
  | 'role-not-found'
  | 'session-ended'
  | 'session-not-found'
  | 'too-many-changes'
  | 'too-many-factors'
  | 'user-not-found'

/** A rule says no. Nothing was changed, and asking again is refused again as long as the facts are the same. */
export class Rejected extends Error {
  override readonly name = 'Rejected'

  constructor(readonly code: RejectionCode) {
    super(code)
  }
}
