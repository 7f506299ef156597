import type { NewEvent, RegistrationId, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type RegistrationEventType =
  'registration.begun' | 'registration.resent' | 'registration.completed' | 'registration.superseded'

/** What somebody wants to register. */
export interface Pending {
  email: string
  name: string
  locale: string
  passwordHash: string
}

export type Registration =
  | { status: 'none' }
  | {
      status: 'pending'
      /** `null`: its key was destroyed. */
      pending: Pending | null
      /** ISO 8601: the attempt ends then. */
      expiresAt: string
      /** How often another message was asked for; the number of the challenge that counts. */
      resent: number
    }
  | { status: 'completed'; userId: UserId; expiresAt: string }
  | { status: 'superseded'; expiresAt: string }

const initial: Registration = { status: 'none' }

function evolve(registration: Registration, event: Past<RegistrationEventType>): Registration {
  if (event.type === 'registration.begun') {
    const { email, name, locale, passwordHash, expiresAt } = event.data
    const isThere = email !== null && name !== null && passwordHash !== null
    return { status: 'pending', pending: isThere ? { email, name, locale, passwordHash } : null, expiresAt, resent: 0 }
  }
  if (registration.status === 'none') return registration
  const { expiresAt } = registration
  switch (event.type) {
    case 'registration.resent':
      return registration.status === 'pending' ? { ...registration, resent: event.data.number } : registration
    case 'registration.completed':
      return { status: 'completed', userId: event.data.userId, expiresAt }
    case 'registration.superseded':
      return { status: 'superseded', expiresAt }
  }
}

export const registrationDecider: Decider<Registration, RegistrationEventType> = {
  category: 'registration',
  readsPersonal: true,
  initial,
  evolve,
}

type Begin = NewEvent<'registration.begun'>['data']

export const begin =
  (input: Begin) =>
  (registration: Registration): NewEvent<'registration.begun'>[] =>
    registration.status === 'none' ? [{ type: 'registration.begun', data: input }] : []

/** Messages to one address beside the first. With the guesses that a challenge bears, a stranger hits one code in 30,000 attempts. */
export const resendsMax = 5

/** Another message, while there are some left and the attempt lasts; else nothing, and nobody is told why. */
export const resend =
  ({ registrationId, at }: { registrationId: RegistrationId; at: string }) =>
  (registration: Registration): NewEvent<'registration.resent'>[] => {
    if (registration.status !== 'pending' || at >= registration.expiresAt) return []
    if (registration.resent >= resendsMax) return []
    return [{ type: 'registration.resent', data: { registrationId, number: registration.resent + 1 } }]
  }

/**
 * What is to be registered, for whoever has proved the address.
 * @throws Rejected `challenge-failed` when the attempt has ended by itself; `registration-superseded`.
 */
export function provedRegistration(
  registration: Registration,
  at: string,
): { status: 'pending'; pending: Pending } | { status: 'completed'; userId: UserId } {
  switch (registration.status) {
    case 'none':
      throw new Rejected('challenge-failed')
    case 'superseded':
      throw new Rejected('registration-superseded')
    case 'completed':
      return registration
    case 'pending': {
      const { pending, expiresAt } = registration
      if (pending === null || at >= expiresAt) throw new Rejected('challenge-failed')
      return { status: 'pending', pending }
    }
  }
}

/** The account is there: said once. */
export const complete =
  ({ registrationId, userId }: { registrationId: RegistrationId; userId: UserId }) =>
  (registration: Registration): NewEvent<'registration.completed'>[] =>
    registration.status === 'pending' ? [{ type: 'registration.completed', data: { registrationId, userId } }] : []

/** Another attempt has the address. */
export const supersede =
  ({ registrationId }: { registrationId: RegistrationId }) =>
  (registration: Registration): NewEvent<'registration.superseded'>[] =>
    registration.status === 'pending' ? [{ type: 'registration.superseded', data: { registrationId } }] : []
