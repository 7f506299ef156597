import type { FactorId, NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

/** Whose a credential id is. */
export type Passkey = { status: 'free' } | { status: 'reserved'; userId: UserId; factorId: FactorId }

const initial: Passkey = { status: 'free' }

function evolve(_passkey: Passkey, { data: { userId, factorId } }: Past<'passkey.reserved'>): Passkey {
  return { status: 'reserved', userId, factorId }
}

export const passkeyDecider: Decider<Passkey, 'passkey.reserved'> = { category: 'passkey', initial, evolve }

/**
 * The first to come has it, for ever: also when the factor was removed, so that a login never finds another account than
 * before. An authenticator makes a new one each time. @throws Rejected `passkey-taken`.
 */
export const reservePasskey =
  (input: { userId: UserId; factorId: FactorId }) =>
  (passkey: Passkey): NewEvent<'passkey.reserved'>[] => {
    if (passkey.status === 'free') return [{ type: 'passkey.reserved', data: input }]
    if (passkey.userId === input.userId && passkey.factorId === input.factorId) return []
    throw new Rejected('passkey-taken')
  }
