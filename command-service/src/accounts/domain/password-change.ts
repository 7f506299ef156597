import type { CredentialId, NewEvent } from '@annals/contracts'
import { Rejected } from '../../core/rejected'
import { activeAccount, assertChangeable, changesForRecovery, ownAccount, type Bearer, type User } from './user'

export interface ChangePassword {
  credentialId: CredentialId
  /** Whose password was compared; `null`: there was none. */
  formerCredentialId: CredentialId | null
  /** The session that goes on; all others end. */
  bearer: Bearer
  /** ISO 8601: now. */
  at: string
}

/**
 * A new password is a new credential and a new epoch: whoever knew the old one is out.
 * @throws Rejected `concurrent-change` when it is not the password any more that was compared; as `ownAccount` does.
 */
export const changePassword =
  ({ credentialId, formerCredentialId, bearer, at }: ChangePassword) =>
  (user: User): NewEvent<'user.password_changed'>[] => {
    const account = ownAccount(user, bearer)
    if (account.credentialId === credentialId) return []
    if (account.credentialId !== formerCredentialId) throw new Rejected('concurrent-change')
    assertChangeable(account, at)
    const { userId, epoch } = account
    const exceptSessionId = bearer.sessionId
    return [
      { type: 'user.password_changed', data: { userId, credentialId, epoch: epoch + 1, exceptSessionId, by: 'owner' } },
    ]
  }

export interface ResetPassword {
  credentialId: CredentialId
  /** Of the account, when the reset was asked for. */
  epoch: number
  at: string
}

/**
 * A reset counts only in the epoch in which it was asked for, and begins another: so a link brings one password, and all links that
 * were sent before a change of the password, or a block of the account, bring none. All sessions end.
 * @throws Rejected `challenge-failed`, `too-many-changes`; as `activeAccount` does.
 */
export const resetPassword =
  ({ credentialId, epoch, at }: ResetPassword) =>
  (user: User): NewEvent<'user.password_changed'>[] => {
    const account = activeAccount(user)
    if (account.credentialId === credentialId) return []
    if (account.epoch !== epoch) throw new Rejected('challenge-failed')
    assertChangeable(account, at, changesForRecovery)
    const { userId } = account
    return [
      {
        type: 'user.password_changed',
        data: { userId, credentialId, epoch: epoch + 1, exceptSessionId: null, by: 'reset' },
      },
    ]
  }
