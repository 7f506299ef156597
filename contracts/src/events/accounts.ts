import { z } from 'zod'
import { writtenAddress } from '../email'
import { CredentialId, UserId } from '../ids'
import { nameForm, recordedText, writtenText } from '../text'
import { defineEvent } from './definition'

export const Role = z.enum(['user', 'admin'])
export type Role = z.infer<typeof Role>

/** BCP 47 language of the messages that a person gets. */
export const Locale = z.string().regex(/^[a-z]{2,3}(-[A-Z]{2})?$/)

export const UserRegistered = defineEvent({
  type: 'user.registered',
  version: 2,
  subject: 'userId',
  personal: ['email', 'name'],
  data: z.object({
    userId: UserId,
    email: z.string().min(3).max(254),
    name: recordedText(nameForm).min(1),
    locale: Locale,
    roles: z.array(Role).min(1),
    /** Names the stream that holds the password's hash; the hash itself is never published. */
    credentialId: CredentialId,
  }),
  written: { email: writtenAddress, name: writtenText(nameForm) },
  // v1 took fewer characters in an address: a reader of v1 refuses what v2 may hold, so it has to wait for its next release.
  upcast: { 1: (data) => data },
})

export const UserRoleGranted = defineEvent({
  type: 'user.role_granted',
  version: 1,
  data: z.object({ userId: UserId, role: Role }),
})

/** First event of a reservation stream; its absence is what makes an address free. Not published. */
export const EmailReserved = defineEvent({
  type: 'email.reserved',
  version: 1,
  data: z.object({ userId: UserId }),
})

/**
 * A password's hash, a secret of the command service, on a stream that is not published. Its forms are those of
 * `command-service/src/accounts/password-forms.ts`.
 */
export const CredentialSet = defineEvent({
  type: 'credential.set',
  version: 2,
  subject: 'userId',
  secrets: ['passwordHash'],
  data: z.object({ userId: UserId, credentialId: CredentialId, passwordHash: z.string().min(1).max(200) }),
  // v1 sealed the hash as personal data, which other services open as well. Opened it reads the same.
  upcast: { 1: (data) => data },
})

/** The same password as before, hashed as hashes are made today: its owner logged in with it. */
export const CredentialRehashed = defineEvent({
  type: 'credential.rehashed',
  version: 1,
  subject: 'userId',
  secrets: ['passwordHash'],
  data: z.object({ userId: UserId, credentialId: CredentialId, passwordHash: z.string().min(1).max(200) }),
})
