import type { Consent, NewEvent } from '@annals/contracts'
import { assertChangeable, ownAccount, type Bearer, type User } from './user'
import type { Person } from './person'

export interface ChangeProfile {
  name?: string | undefined
  locale?: string | undefined
  timeZone?: string | undefined
  bearer: Bearer
  /** ISO 8601: now. */
  at: string
}

/** What is told for who has named no time zone, once the profile is written. */
const timeZoneDefault = 'UTC'

/** The profile is recorded whole, so that a reader needs no other event. What is as it was is recorded not at all. */
export const changeProfile =
  ({ bearer, at, ...changes }: ChangeProfile) =>
  ({ user, contact }: Person): NewEvent<'user.profile_changed'>[] => {
    const account = ownAccount(user, bearer)
    const { name = contact.name ?? '', locale = contact.locale } = changes
    const timeZone = changes.timeZone ?? contact.timeZone ?? timeZoneDefault
    const isSame =
      name === contact.name && locale === contact.locale && timeZone === (contact.timeZone ?? timeZoneDefault)
    if (isSame) return []
    assertChangeable(account, at)
    return [{ type: 'user.profile_changed', data: { userId: account.userId, name, locale, timeZone } }]
  }

/** @param phone proved before; `null`: none from now on. */
export const changePhone =
  ({ phone, bearer, at }: { phone: string | null; bearer: Bearer; at: string }) =>
  ({ user, contact }: Person): NewEvent<'user.phone_changed'>[] => {
    const account = ownAccount(user, bearer)
    if (contact.phone === phone) return []
    assertChangeable(account, at)
    return [{ type: 'user.phone_changed', data: { userId: account.userId, phone } }]
  }

export interface ChangeConsents {
  /** What is agreed to, and what not; what is not named stays as it is. */
  consents: { readonly [Name in Consent]?: boolean | undefined }
  bearer: Bearer
  at: string
}

export const changeConsents =
  ({ consents, bearer, at }: ChangeConsents) =>
  (user: User): NewEvent<'user.consent_given' | 'user.consent_withdrawn'>[] => {
    const account = ownAccount(user, bearer)
    const changed = Object.entries(consents).filter(
      ([consent, isGiven]) => isGiven !== undefined && isGiven !== Object.hasOwn(account.consents, consent),
    )
    if (changed.length > 0) assertChangeable(account, at)
    return changed.map(([consent, isGiven]) => ({
      type: isGiven ? 'user.consent_given' : 'user.consent_withdrawn',
      data: { userId: account.userId, consent },
    }))
  }
