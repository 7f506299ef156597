import type { CredentialId, NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'

export type Credential =
  | { status: 'none' }
  /** `passwordHash` is `null` when its owner was erased. */
  | { status: 'set'; userId: UserId; passwordHash: string | null }

const initial: Credential = { status: 'none' }

type CredentialEventType = 'credential.set' | 'credential.rehashed'

function evolve(_credential: Credential, event: Past<CredentialEventType>): Credential {
  switch (event.type) {
    case 'credential.set':
    // It says all that there is to know: whoever reads the last event only has what it means.
    case 'credential.rehashed':
      return { status: 'set', userId: event.data.userId, passwordHash: event.data.passwordHash }
  }
}

export const credentialDecider: Decider<Credential, CredentialEventType> = {
  category: 'credential',
  readsPersonal: true,
  // A password is hashed anew as often as keys and costs are changed.
  reads: 'first-and-last',
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

export interface RehashPassword extends SetPassword {
  /** The hash that the password was found to match. */
  formerHash: string
}

/** Replaces the very hash that was compared: what was set or hashed anew meanwhile stays. */
export const rehashPassword =
  ({ formerHash, ...data }: RehashPassword) =>
  (credential: Credential): NewEvent<'credential.rehashed'>[] => {
    switch (credential.status) {
      case 'none':
        return []
      case 'set':
        return credential.passwordHash === formerHash && data.passwordHash !== formerHash
          ? [{ type: 'credential.rehashed', data }]
          : []
    }
  }
