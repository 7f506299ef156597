import type { Envelope } from './envelope'
import type { NewEventOf, OpenedDataOf } from './definition'
import * as payment from './payments'
import * as session from './sessions'
import * as user from './accounts'

/** Every event type that the log may hold, by its name. */
export const eventDefinitions = {
  'user.registered': user.UserRegistered,
  'user.role_granted': user.UserRoleGranted,
  'email.reserved': user.EmailReserved,
  'credential.set': user.CredentialSet,
  'credential.rehashed': user.CredentialRehashed,
  'user.login': session.UserLoggedIn,
  'session.refreshed': session.SessionRefreshed,
  'session.ended': session.SessionEnded,
  'payment.created': payment.PaymentCreated,
  'payment.process_started': payment.PaymentProcessStarted,
  'payment.processed': payment.PaymentProcessed,
  'payment.failed': payment.PaymentFailed,
  'payment.outcome_unknown': payment.PaymentOutcomeUnknown,
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

export type UserEvent = NewEvent<'user.registered' | 'user.role_granted'>
export type SessionEvent = NewEvent<'user.login' | 'session.refreshed' | 'session.ended'>
export type PaymentEvent = NewEvent<
  'payment.created' | 'payment.process_started' | 'payment.processed' | 'payment.failed' | 'payment.outcome_unknown'
>
export type EmailReservationEvent = NewEvent<'email.reserved'>
export type CredentialEvent = NewEvent<'credential.set' | 'credential.rehashed'>
