import { z } from 'zod'

/** Lower-case UUID, the only form in which ids are accepted, so that one id has one spelling. */
const id = () => z.uuid().regex(/^[0-9a-f-]+$/, 'must be a lower-case UUID')

export const UserId = id()
export const SessionId = id()
export const PaymentId = id()
export const CredentialId = id()
export const FactorId = id()
/** Of something that a person has to answer: a code, a link, a second factor. */
export const ChallengeId = id()
/** Of a login between its factors, or a passkey that is being registered. */
export const CeremonyId = id()
/** Of an attempt to register, until its address is proved. */
export const RegistrationId = id()

export type UserId = z.infer<typeof UserId>
export type SessionId = z.infer<typeof SessionId>
export type PaymentId = z.infer<typeof PaymentId>
export type CredentialId = z.infer<typeof CredentialId>
export type FactorId = z.infer<typeof FactorId>
export type ChallengeId = z.infer<typeof ChallengeId>
export type CeremonyId = z.infer<typeof CeremonyId>
export type RegistrationId = z.infer<typeof RegistrationId>

/** Names of the streams. A category is what stands before the first dash. */
export const streamOf = {
  user: (userId: UserId) => `user-${userId}`,
  session: (sessionId: SessionId) => `session-${sessionId}`,
  payment: (paymentId: PaymentId) => `payment-${paymentId}`,
  credential: (credentialId: CredentialId) => `credential-${credentialId}`,
  factor: (factorId: FactorId) => `factor-${factorId}`,
  ceremony: (ceremonyId: CeremonyId) => `ceremony-${ceremonyId}`,
  /** `hash`: SHA-256, hex, of tenant and credential id. */
  passkey: (hash: string) => `passkey-${hash}`,
  challenge: (challengeId: ChallengeId) => `challenge-${challengeId}`,
  /** Which of the challenges of an account for one purpose can be answered. */
  latestChallenge: (purpose: string, userId: UserId) => `latest-${purpose}-${userId}`,
  /** An attempt to register, until its address is proved. */
  registration: (registrationId: RegistrationId) => `registration-${registrationId}`,
  role: (role: string) => `role-${role}`,
  /** Anchors of the audit trail, a stream for each month: `2026-11`. */
  auditAnchors: (month: string) => `audit-${month}`,
  /** `keyedHash`: hex HMAC of tenant and canonical address, so that the log shows no address. */
  emailReservation: (keyedHash: string) => `email-${keyedHash}`,
} as const

/** `payment-1f…` → `payment`. */
export const categoryOf = (stream: string): string => stream.slice(0, Math.max(0, stream.indexOf('-')))
