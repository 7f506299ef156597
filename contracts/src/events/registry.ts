import type { Envelope } from './envelope'
import type { NewEventOf, OpenedDataOf } from './definition'
import * as audit from './audit'
import * as payment from './payments'
import * as challenge from './challenges'
import * as factor from './factors'
import * as registration from './registrations'
import * as session from './sessions'
import * as user from './accounts'

/** Every event type that the log may hold, by its name. */
export const eventDefinitions = {
  'user.registered': user.UserRegistered,
  'user.email_proved': user.UserEmailProved,
  'user.profile_changed': user.UserProfileChanged,
  'user.email_changed': user.UserEmailChanged,
  'user.phone_changed': user.UserPhoneChanged,
  'user.password_changed': user.UserPasswordChanged,
  'user.sessions_ended': user.UserSessionsEnded,
  'user.disabled': user.UserDisabled,
  'user.enabled': user.UserEnabled,
  'user.role_granted': user.UserRoleGranted,
  'user.role_revoked': user.UserRoleRevoked,
  'user.factor_added': user.UserFactorAdded,
  'user.factor_removed': user.UserFactorRemoved,
  'user.consent_given': user.UserConsentGiven,
  'user.consent_withdrawn': user.UserConsentWithdrawn,
  'user.erasure_scheduled': user.UserErasureScheduled,
  'user.erasure_cancelled': user.UserErasureCancelled,
  'user.erased': user.UserErased,
  'role.defined': user.RoleDefined,
  'role.removed': user.RoleRemoved,
  'email.reserved': user.EmailReserved,
  'email.released': user.EmailReleased,
  'credential.set': user.CredentialSet,
  'credential.rehashed': user.CredentialRehashed,
  'factor.created': factor.FactorCreated,
  'factor.used': factor.FactorUsed,
  'factor.guessed': factor.FactorGuessed,
  'passkey.reserved': factor.PasskeyReserved,
  'ceremony.code_asked': factor.CeremonyCodeAsked,
  'ceremony.completed': factor.CeremonyCompleted,
  'registration.begun': registration.RegistrationBegun,
  'registration.resent': registration.RegistrationResent,
  'registration.completed': registration.RegistrationCompleted,
  'registration.superseded': registration.RegistrationSuperseded,
  'user.login': session.UserLoggedIn,
  'session.refreshed': session.SessionRefreshed,
  'session.stepped_up': session.SessionSteppedUp,
  'session.ended': session.SessionEnded,
  'challenge.issued': challenge.ChallengeIssued,
  'challenge.guessed': challenge.ChallengeGuessed,
  'challenge.answered': challenge.ChallengeAnswered,
  'challenge.voided': challenge.ChallengeVoided,
  'challenge.made_latest': challenge.ChallengeMadeLatest,
  'payment.created': payment.PaymentCreated,
  'payment.process_started': payment.PaymentProcessStarted,
  'payment.processed': payment.PaymentProcessed,
  'payment.failed': payment.PaymentFailed,
  'payment.outcome_unknown': payment.PaymentOutcomeUnknown,
  'audit.anchored': audit.AuditAnchored,
} as const

type Definitions = typeof eventDefinitions
export type EventType = keyof Definitions

/** An event that a decision returns, before it has an envelope. */
export type NewEvent<T extends EventType = EventType> = { [K in T]: NewEventOf<Definitions[K]> }[T]

/** Where an event stands in the log. */
export interface RecordedAt {
  /** UUIDv5 of command id and index. */
  id: string
  stream: string
  /** Number of the event in its stream, from 0. */
  revision: number
  /** Commit position in the log; grows from event to event over all streams. */
  position: bigint
}

/** An event as readers get it: today's version, personal data opened, `at` = `envelope.occurredAt`. */
export type AnnalsEvent<T extends EventType = EventType> = {
  [K in T]: RecordedAt & { type: K; data: OpenedDataOf<Definitions[K]>; at: string; envelope: Envelope }
}[T]
