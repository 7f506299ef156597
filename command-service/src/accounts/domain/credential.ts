import type { CredentialId, NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'

export type Credential =
  | { status: 'none' }
  /** `passwordHash` is `null` when its owner was erased. */
  | { status: 'set'; userId: UserId; passwordHash: string | null }

const initial: Credential = { status: 'none' }

function evolve(_credential: Credential, event: Past<'credential.set'>): Credential {
  switch (event.type) {
    case 'credential.set':
      return { status: 'set', userId: event.data.userId, passwordHash: event.data.passwordHash }
  }
}

export const credentialDecider: Decider<Credential, 'credential.set'> = {
  category: 'credential',
  readsPersonal: true,
  initial,
  evolve,
}

export interface SetPassword {
  userId: UserId
  credentialId: CredentialId
  passwordHash: string
}

/** A credential is set once: a new password will be a new credential. */
export const setPassword =
  (input: SetPassword) =>
  (credential: Credential): NewEvent<'credential.set'>[] => {
    switch (credential.status) {
      case 'none':
        return [{ type: 'credential.set', data: input }]
      case 'set':
        return []
    }
  }
