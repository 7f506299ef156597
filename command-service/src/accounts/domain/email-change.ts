import type { NewEvent } from '@annals/contracts'
import { Rejected } from '../../core/rejected'
import { activeAccount, assertChangeable, existingAccount } from './user'
import type { Person } from './person'

export interface ChangeEmail {
  /** Proved, and held by the account. */
  email: string
  /** Of the account, when the change was asked for. */
  epoch: number
  /** ISO 8601: now. */
  at: string
}

/**
 * @throws Rejected `challenge-failed`: the account has begun another epoch since the change was asked for; `too-many-changes`;
 *   as `activeAccount` does.
 */
export const changeEmail =
  ({ email, epoch, at }: ChangeEmail) =>
  ({ user, contact }: Person): NewEvent<'user.email_changed'>[] => {
    const account = activeAccount(user)
    if (contact.email === email) return []
    if (account.epoch !== epoch) throw new Rejected('challenge-failed')
    assertChangeable(account, at)
    return [{ type: 'user.email_changed', data: { userId: account.userId, email, by: 'owner' } }]
  }

/**
 * Whoever reads mail at a former address puts it back, and all sessions end: the change may have been a thief's, who may have changed the
 * password as well, so the epoch does not matter here. A disabled account gets its address back too. Of several changes
 * in a row the holder of the oldest address has the last word: what came after it can be put back by nobody. What an
 * owner may change bounds how often this can happen.
 * @throws Rejected `challenge-failed`: that was annulled; `user-not-found`.
 */
export const undoEmailChange =
  ({ email }: { email: string }) =>
  ({ user, contact }: Person): NewEvent<'user.email_changed' | 'user.sessions_ended'>[] => {
    const { userId, epoch } = existingAccount(user)
    if (contact.email === email) return []
    if (!contact.undoable.includes(email)) throw new Rejected('challenge-failed')
    return [
      { type: 'user.email_changed', data: { userId, email, by: 'undo' } },
      { type: 'user.sessions_ended', data: { userId, epoch: epoch + 1, exceptSessionId: null } },
    ]
  }

/** How long a change of address can be undone by whoever reads mail at the former one: a weekend, and a day to see it. */
export const undoSeconds = 3 * 86_400

/**
 * What of the last change is still to be done, if it was cut off: the former address is to be let go. It is kept for the account while its
 * change can be undone; one that an undo has put away is free at once, and its holder is told nothing.
 * @returns `undefined`: there was no change, or nothing is known of it any more.
 */
export function leftBehind({ contact: { former, email } }: Person) {
  if (former?.email == null || former.email === email) return undefined
  const undoUntil = new Date(Date.parse(former.changedAt) + undoSeconds * 1000).toISOString()
  return { email: former.email, changedAt: former.changedAt, keptUntil: former.by === 'owner' ? undoUntil : null }
}
