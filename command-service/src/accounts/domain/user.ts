import type { CredentialId, NewEvent, Role, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type UserEventType = 'user.registered' | 'user.role_granted'

export type User =
  { status: 'none' } | { status: 'registered'; userId: UserId; roles: readonly Role[]; credentialId: CredentialId }

const initial: User = { status: 'none' }

function evolve(user: User, event: Past<UserEventType>): User {
  switch (event.type) {
    case 'user.registered': {
      const { userId, roles, credentialId } = event.data
      return { status: 'registered', userId, roles, credentialId }
    }
    case 'user.role_granted':
      return user.status === 'registered' ? { ...user, roles: [...user.roles, event.data.role] } : user
  }
}

export const userDecider: Decider<User, UserEventType> = { category: 'user', initial, evolve }

export interface Register {
  userId: UserId
  email: string
  name: string
  locale: string
  credentialId: CredentialId
}

/** The commit point of a registration. Whoever finds the user there already came second with the same address. */
export const register =
  (input: Register) =>
  (user: User): NewEvent<'user.registered'>[] => {
    switch (user.status) {
      case 'none':
        return [{ type: 'user.registered', data: { ...input, roles: ['user'] } }]
      case 'registered':
        // The same credential is the same registration: what it asks for is true already.
        if (user.credentialId === input.credentialId) return []
        throw new Rejected('email-taken')
    }
  }

/** A role is held or not: granting it again changes nothing. */
export const grantRole =
  ({ role }: { role: Role }) =>
  (user: User): NewEvent<'user.role_granted'>[] => {
    switch (user.status) {
      case 'none':
        throw new Rejected('user-not-found')
      case 'registered':
        return user.roles.includes(role) ? [] : [{ type: 'user.role_granted', data: { userId: user.userId, role } }]
    }
  }
