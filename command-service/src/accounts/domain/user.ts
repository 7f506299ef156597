import type {
  CredentialId,
  DisableReason,
  FactorId,
  FactorKind,
  NewEvent,
  Principal,
  Role,
  SessionId,
  UserId,
} from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

export const userEventTypes = [
  'user.registered',
  'user.email_proved',
  'user.profile_changed',
  'user.email_changed',
  'user.phone_changed',
  'user.password_changed',
  'user.sessions_ended',
  'user.disabled',
  'user.enabled',
  'user.role_granted',
  'user.role_revoked',
  'user.factor_added',
  'user.factor_removed',
  'user.consent_given',
  'user.consent_withdrawn',
  'user.erasure_scheduled',
  'user.erasure_cancelled',
  'user.erased',
] as const
export type UserEventType = (typeof userEventTypes)[number]

export interface Factor {
  factorId: FactorId
  kind: FactorKind
}

/** What is known of an account that was not erased. Nothing personal is in it. */
export interface Account {
  userId: UserId
  /** ISO 8601: the registration. */
  registeredAt: string
  roles: readonly Role[]
  /** `null`: there is no password. */
  credentialId: CredentialId | null
  emailProved: boolean
  factors: readonly Factor[]
  /** What the owner agrees to, and since when (ISO 8601). */
  consents: Readonly<Record<string, string>>
  /** Sessions of former epochs are over, but `exceptSessionId`. */
  epoch: number
  exceptSessionId: SessionId | null
  /** ISO 8601: when it will be erased; `null`: that is not asked for. */
  eraseAt: string | null
  /** Changes of the owner's own so far; see {@link changesMax}. */
  changes: number
}

export type User =
  | { status: 'none' }
  | ({ status: 'active' } & Account)
  | ({ status: 'disabled'; reason: DisableReason } & Account)
  | { status: 'erased'; userId: UserId; epoch: number }

export type RegisteredUser = Extract<User, { status: 'active' | 'disabled' }>

const initial: User = { status: 'none' }

export const isRegistered = (user: User): user is RegisteredUser =>
  user.status === 'active' || user.status === 'disabled'

function evolve(user: User, event: Past<UserEventType>): User {
  if (event.type === 'user.registered') {
    const { userId, roles, credentialId, emailProved } = event.data
    return {
      status: 'active',
      userId,
      registeredAt: event.at,
      roles,
      credentialId,
      emailProved,
      factors: [],
      consents: {},
      epoch: 1,
      exceptSessionId: null,
      eraseAt: null,
      changes: 0,
    }
  }
  if (!isRegistered(user)) return user
  const changes = user.changes + 1
  switch (event.type) {
    case 'user.email_proved':
      return { ...user, emailProved: true }
    case 'user.profile_changed':
      return { ...user, changes }
    case 'user.email_changed':
      return { ...user, emailProved: true, changes }
    case 'user.phone_changed':
      return { ...user, changes }
    case 'user.password_changed': {
      const { credentialId, epoch, exceptSessionId } = event.data
      return { ...user, credentialId, epoch, exceptSessionId, changes }
    }
    case 'user.sessions_ended': {
      const { epoch, exceptSessionId } = event.data
      return { ...user, epoch, exceptSessionId, changes }
    }
    case 'user.disabled': {
      const { epoch, reason } = event.data
      return { ...user, status: 'disabled', reason, epoch, exceptSessionId: null }
    }
    case 'user.enabled': {
      const { status: _, ...account } = user
      return { ...account, status: 'active' }
    }
    case 'user.role_granted':
      return { ...user, roles: [...user.roles.filter((role) => role !== event.data.role), event.data.role] }
    case 'user.role_revoked':
      return { ...user, roles: user.roles.filter((role) => role !== event.data.role) }
    case 'user.factor_added': {
      const { factorId, kind } = event.data
      return { ...user, factors: [...user.factors, { factorId, kind }], changes }
    }
    case 'user.factor_removed':
      return { ...user, factors: user.factors.filter(({ factorId }) => factorId !== event.data.factorId), changes }
    case 'user.consent_given':
      return { ...user, consents: { ...user.consents, [event.data.consent]: event.at }, changes }
    case 'user.consent_withdrawn': {
      const { [event.data.consent]: _, ...consents } = user.consents
      return { ...user, consents, changes }
    }
    case 'user.erasure_scheduled':
      return { ...user, eraseAt: event.data.eraseAt, changes }
    case 'user.erasure_cancelled':
      return { ...user, eraseAt: null, changes }
    case 'user.erased':
      return { status: 'erased', userId: user.userId, epoch: event.data.epoch }
  }
}

export const userDecider: Decider<User, UserEventType> = { category: 'user', initial, evolve }

/**
 * An owner may change so much of an account at any speed. Beyond it, one change a day. That bounds the stream, which is
 * read whole at every login: some 400 events a year, whatever its owner does.
 */
export const changesBurst = 200
const dayMs = 86_400_000
export const changesMax = (registeredAt: string, at: string): number =>
  changesBurst + Math.max(0, Math.floor((Date.parse(at) - Date.parse(registeredAt)) / dayMs))

/** So much more is for getting an account back: whoever used up its changes on purpose must not keep its owner out. */
export const changesForRecovery = 100

/** @throws Rejected `too-many-changes`. */
export function assertChangeable({ changes, registeredAt }: Account, at: string, beyond = 0): void {
  if (changes >= changesMax(registeredAt, at) + beyond) throw new Rejected('too-many-changes')
}

/**
 * The account, when somebody may act in its name.
 * @throws Rejected `user-not-found`; `account-disabled`.
 */
export function activeAccount(user: User): Account {
  switch (user.status) {
    case 'none':
    case 'erased':
      throw new Rejected('user-not-found')
    case 'disabled':
      throw new Rejected('account-disabled')
    case 'active':
      return user
  }
}

/**
 * The account, whether or not it is disabled: for those who administer it.
 * @throws Rejected `user-not-found`.
 */
export function existingAccount(user: User): RegisteredUser {
  if (!isRegistered(user)) throw new Rejected('user-not-found')
  return user
}

/** Whether a session that began in an epoch is still one of the account's. */
export function holdsSession(user: User, session: { sessionId: SessionId; epoch: number }): boolean {
  if (user.status !== 'active') return false
  return session.epoch >= user.epoch || session.sessionId === user.exceptSessionId
}

/** A session in whose name somebody acts. */
export type Bearer = Pick<Principal, 'sessionId' | 'epoch'>

/**
 * The account, when a session is still one of its own: a token that outlives a change of the password changes nothing any more,
 * however fast it comes.
 * @throws Rejected `user-not-found`, `account-disabled`, `session-ended`.
 */
export function ownAccount(user: User, bearer: Bearer): Account {
  const account = activeAccount(user)
  if (!holdsSession(user, bearer)) throw new Rejected('session-ended')
  return account
}

export interface Register {
  userId: UserId
  email: string
  name: string
  locale: string
  credentialId: CredentialId | null
  emailProved: boolean
}

/** The commit point of a registration. Whoever finds the user there already came second with the same address. */
export const register =
  (input: Register) =>
  (user: User): NewEvent<'user.registered'>[] => {
    switch (user.status) {
      case 'none':
        return [{ type: 'user.registered', data: { ...input, roles: ['user'] } }]
      case 'active':
      case 'disabled':
        // The same credential is the same registration: what it asks for is true already.
        if (user.credentialId !== null && user.credentialId === input.credentialId) return []
        throw new Rejected('email-taken')
      case 'erased':
        throw new Rejected('user-not-found')
    }
  }

/** A role is held or not: granting it again changes nothing. */
export const grantRole =
  ({ role }: { role: Role }) =>
  (user: User): NewEvent<'user.role_granted'>[] => {
    const { userId, roles } = existingAccount(user)
    return roles.includes(role) ? [] : [{ type: 'user.role_granted', data: { userId, role } }]
  }

export interface EndSessions {
  /** The session that goes on; `null`: none does. */
  exceptSessionId: SessionId | null
  /** An administrator is not bounded: an owner who has used up their changes can not keep sessions open by that. */
  by: 'owner' | 'administrator'
  /** ISO 8601: now. */
  at: string
}

/** Ends all sessions, but one; with none that began before there is still a new epoch: nobody tells which there are. */
export const endSessions =
  ({ exceptSessionId, by, at }: EndSessions) =>
  (user: User): NewEvent<'user.sessions_ended'>[] => {
    const account = existingAccount(user)
    if (by === 'owner') assertChangeable(account, at)
    const { userId, epoch } = account
    return [{ type: 'user.sessions_ended', data: { userId, epoch: epoch + 1, exceptSessionId } }]
  }

/** Nobody acts in the name of a disabled account; its first reason stays. */
export const disable =
  ({ reason }: { reason: DisableReason }) =>
  (user: User): NewEvent<'user.disabled'>[] => {
    const account = existingAccount(user)
    if (account.status === 'disabled') return []
    return [{ type: 'user.disabled', data: { userId: account.userId, epoch: account.epoch + 1, reason } }]
  }

/** An account that its owner wants erased is enabled by cancelling that, and in no other way. */
export const enable =
  () =>
  (user: User): NewEvent<'user.enabled'>[] => {
    const account = existingAccount(user)
    if (account.status === 'active') return []
    if (account.reason === 'erasure-requested') throw new Rejected('erasure-scheduled')
    return [{ type: 'user.enabled', data: { userId: account.userId } }]
  }
