import { z } from 'zod'
import { writtenAddress } from '../email'
import { CredentialId, FactorId, SessionId, UserId } from '../ids'
import { PhoneNumber } from '../phone'
import { labelForm, nameForm, recordedText, writtenText } from '../text'
import { writtenTime } from '../time'
import { defineEvent } from './definition'

const recordedAddress = z.string().min(3).max(254)

/** Name of a role: built in, or defined by administrators. What it permits is in `api/permissions.ts`, or in its stream. */
export const Role = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be a lower-case name of at most 32 characters')
export type Role = z.infer<typeof Role>

/** BCP 47 language of the messages that a person gets. */
export const Locale = z.string().regex(/^[a-z]{2,3}(-[A-Z]{2})?$/)

/** Name of a time zone in the IANA database, such as `Europe/Madrid`. */
export const TimeZone = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+){0,2}$/)
  .max(64)

/**
 * Number of a security epoch. A session names the one in which it began. A new epoch ends all sessions of former ones: a
 * login that slips past the change, since it appends to another stream, is found by its number.
 */
export const SecurityEpoch = z.int().min(1)

export const UserRegistered = defineEvent({
  type: 'user.registered',
  version: 3,
  subject: 'userId',
  personal: ['email', 'name'],
  data: z.object({
    userId: UserId,
    email: recordedAddress,
    name: recordedText(nameForm).min(1),
    locale: Locale,
    roles: z.array(Role).min(1),
    /** Names the stream that holds the password's hash; the hash itself is never published. `null`: there is no password. */
    credentialId: CredentialId.nullable(),
    /** Whether the person has shown that mail to the address reaches them. */
    emailProved: z.boolean(),
  }),
  written: { email: writtenAddress, name: writtenText(nameForm) },
  upcast: {
    // v1 took fewer characters in an address: a reader of v1 refuses what v2 may hold, so it has to wait for its next release.
    1: (data) => data,
    // Until v2 nobody proved an address, and there were two roles.
    2: (data) => ({ ...data, emailProved: false }),
  },
})

/** The person has shown that mail to the address of the account reaches them. */
export const UserEmailProved = defineEvent({
  type: 'user.email_proved',
  version: 1,
  data: z.object({ userId: UserId }),
})

/** The profile as it is from now on, whole. */
export const UserProfileChanged = defineEvent({
  type: 'user.profile_changed',
  version: 1,
  subject: 'userId',
  personal: ['name'],
  data: z.object({ userId: UserId, name: recordedText(nameForm).min(1), locale: Locale, timeZone: TimeZone }),
  written: { name: writtenText(nameForm) },
})

/** Another address, which was proved before. */
export const UserEmailChanged = defineEvent({
  type: 'user.email_changed',
  version: 2,
  subject: 'userId',
  personal: ['email'],
  data: z.object({
    userId: UserId,
    email: recordedAddress,
    /** `undo`: whoever reads mail at the former address has put it back. */
    by: z.enum(['owner', 'undo']),
  }),
  written: { email: writtenAddress },
  // v1 knew no way back.
  upcast: { 1: (data) => ({ ...data, by: 'owner' }) },
})

/** A phone number, proved before; `null`: there is none any more. */
export const UserPhoneChanged = defineEvent({
  type: 'user.phone_changed',
  version: 1,
  subject: 'userId',
  personal: ['phone'],
  data: z.object({ userId: UserId, phone: PhoneNumber.nullable() }),
})

/** Another password, in a credential of its own. Sessions of former epochs are over. */
export const UserPasswordChanged = defineEvent({
  type: 'user.password_changed',
  version: 1,
  data: z.object({
    userId: UserId,
    credentialId: CredentialId,
    epoch: SecurityEpoch,
    /** The session that changed it goes on; `null`: none does. */
    exceptSessionId: SessionId.nullable(),
    by: z.enum(['owner', 'reset']),
  }),
})

/** All sessions of former epochs are over, but one. */
export const UserSessionsEnded = defineEvent({
  type: 'user.sessions_ended',
  version: 1,
  data: z.object({ userId: UserId, epoch: SecurityEpoch, exceptSessionId: SessionId.nullable() }),
})

export const DisableReason = z.enum(['administrator', 'erasure-requested'])
export type DisableReason = z.infer<typeof DisableReason>

/** Nobody logs in to it, and its sessions are over. */
export const UserDisabled = defineEvent({
  type: 'user.disabled',
  version: 1,
  data: z.object({ userId: UserId, epoch: SecurityEpoch, reason: DisableReason }),
})

export const UserEnabled = defineEvent({
  type: 'user.enabled',
  version: 1,
  data: z.object({ userId: UserId }),
})

export const UserRoleGranted = defineEvent({
  type: 'user.role_granted',
  version: 2,
  data: z.object({ userId: UserId, role: Role }),
  // v1 knew two roles.
  upcast: { 1: (data) => data },
})

export const UserRoleRevoked = defineEvent({
  type: 'user.role_revoked',
  version: 1,
  data: z.object({ userId: UserId, role: Role }),
})

/** Ways to show a second time who somebody is. */
export const FactorKind = z.enum(['totp', 'sms', 'email', 'passkey', 'recovery-codes'])
export type FactorKind = z.infer<typeof FactorKind>

/** A factor can be used from now on. What proves it is a secret, on a stream that is not published: `factor-<factorId>`. */
export const UserFactorAdded = defineEvent({
  type: 'user.factor_added',
  version: 1,
  subject: 'userId',
  personal: ['label'],
  data: z.object({
    userId: UserId,
    factorId: FactorId,
    kind: FactorKind,
    /** The owner's name for it. */
    label: recordedText(labelForm).nullable(),
  }),
  written: { label: writtenText(labelForm).nullable() },
})

export const UserFactorRemoved = defineEvent({
  type: 'user.factor_removed',
  version: 1,
  data: z.object({ userId: UserId, factorId: FactorId, kind: FactorKind }),
})

/** What somebody may agree to, or not. A name that a release does not know is kept, and asked for by nobody. */
const recordedConsent = z.string().regex(/^[a-z][a-z-]{0,39}$/)

/** The person agrees to it from now on. */
export const UserConsentGiven = defineEvent({
  type: 'user.consent_given',
  version: 1,
  data: z.object({ userId: UserId, consent: recordedConsent }),
})

/** The person does not agree to it any more. */
export const UserConsentWithdrawn = defineEvent({
  type: 'user.consent_withdrawn',
  version: 1,
  data: z.object({ userId: UserId, consent: recordedConsent }),
})

/** The account will be erased at a time, unless that is cancelled before. */
export const UserErasureScheduled = defineEvent({
  type: 'user.erasure_scheduled',
  version: 1,
  data: z.object({ userId: UserId, eraseAt: z.iso.datetime() }),
  written: { eraseAt: writtenTime },
})

export const UserErasureCancelled = defineEvent({
  type: 'user.erasure_cancelled',
  version: 1,
  data: z.object({ userId: UserId }),
})

/** What was personal about somebody is gone: read models empty their rows here, and the data key is destroyed. */
export const UserErased = defineEvent({
  type: 'user.erased',
  version: 1,
  data: z.object({ userId: UserId, epoch: SecurityEpoch }),
})

/** What a role that is not built in permits from now on. */
export const RoleDefined = defineEvent({
  type: 'role.defined',
  version: 1,
  data: z.object({
    role: Role,
    /** Of the closed list of permissions; a name that a release does not know permits nothing there. */
    permissions: z.array(z.string().min(1).max(64)).max(100),
    description: recordedText(labelForm),
  }),
  written: { description: writtenText(labelForm) },
})

export const RoleRemoved = defineEvent({
  type: 'role.removed',
  version: 1,
  data: z.object({ role: Role }),
})

/** The address of a reservation stream is held by an account. Not published. */
export const EmailReserved = defineEvent({
  type: 'email.reserved',
  version: 1,
  data: z.object({ userId: UserId }),
})

/** The account does not hold the address any more: it was changed, or erased. */
export const EmailReleased = defineEvent({
  type: 'email.released',
  version: 2,
  data: z.object({
    userId: UserId,
    /** Until then nobody else gets it, so that the change can be undone; `null`: it is free at once. */
    keptUntil: z.iso.datetime().nullable(),
  }),
  written: { keptUntil: writtenTime.nullable() },
  upcast: { 1: (data) => ({ ...data, keptUntil: null }) },
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
