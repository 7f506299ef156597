import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'
import { isRegistered, userDecider, type User, type UserEventType } from './user'

/** How an address came to be no longer the account's. */
export interface FormerEmail {
  email: string | null
  /** ISO 8601: the change. */
  changedAt: string
  /** `undo`: whoever had this address has put another one back. */
  by: 'owner' | 'undo'
}

/** What is personal about somebody, as it is now. All is `null` after they were erased. */
export interface Contact {
  email: string | null
  /** What the address was before its last change; `null`: it is that of the registration. */
  former: FormerEmail | null
  /** Addresses that may be put back, in the order in which they were given up. To put one back annuls all changes after it. */
  undoable: readonly string[]
  phone: string | null
  name: string | null
  locale: string
  timeZone: string | null
}

/** An account together with what is personal about its owner: for those few commands that need that. */
export interface Person {
  user: User
  contact: Contact
}

const nobodys: Contact = {
  email: null,
  former: null,
  undoable: [],
  phone: null,
  name: null,
  locale: 'en',
  timeZone: null,
}

function contactAfter(contact: Contact, event: Past<UserEventType>): Contact {
  switch (event.type) {
    case 'user.registered': {
      const { email, name, locale } = event.data
      return { ...nobodys, email, name, locale }
    }
    case 'user.profile_changed': {
      const { name, locale, timeZone } = event.data
      return { ...contact, name, locale, timeZone }
    }
    case 'user.email_changed': {
      const { email, by } = event.data
      const { undoable: until } = contact
      const undoable =
        by === 'undo'
          ? until.slice(0, Math.max(0, until.indexOf(email ?? '')))
          : contact.email === null
            ? until
            : [...until, contact.email]
      return { ...contact, email, undoable, former: { email: contact.email, changedAt: event.at, by } }
    }
    case 'user.phone_changed':
      return { ...contact, phone: event.data.phone }
    case 'user.erased':
      return nobodys
    case 'user.email_proved':
    case 'user.password_changed':
    case 'user.sessions_ended':
    case 'user.disabled':
    case 'user.enabled':
    case 'user.role_granted':
    case 'user.role_revoked':
    case 'user.factor_added':
    case 'user.factor_removed':
    case 'user.consent_given':
    case 'user.consent_withdrawn':
    case 'user.erasure_scheduled':
    case 'user.erasure_cancelled':
      return contact
  }
}

export const personDecider: Decider<Person, UserEventType> = {
  category: userDecider.category,
  readsPersonal: true,
  initial: { user: userDecider.initial, contact: nobodys },
  evolve: ({ user, contact }, event) => ({
    user: userDecider.evolve(user, event),
    contact: contactAfter(contact, event),
  }),
}

/** The address of somebody who was not erased. @throws Rejected `user-not-found`. */
export function addressOf({ contact }: Person): string {
  if (contact.email === null) throw new Rejected('user-not-found')
  return contact.email
}

/** Recovery codes stand in for a factor, and are none by themselves. */
export const hasSecondFactor = (user: User): boolean =>
  isRegistered(user) && user.factors.some(({ kind }) => kind !== 'recovery-codes')
