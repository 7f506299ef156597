import type { AnnalsEvent, EventType } from '@annals/contracts'
import { defineChain } from '../../engine/definition/chain'

/** What came of an act; `null`: this release can not read it. */
export type AuditResult = 'success' | 'failure' | 'denied' | 'unknown'

/** What the topics of the audit trail carry. */
type AuditedType = Extract<
  EventType,
  `user.${string}` | `session.${string}` | `challenge.${string}` | `payment.${string}`
>

/** What is told of an event beside its envelope. */
interface Told {
  /** The person whose account, session or payment it is. */
  user: string | null
  /** What it is about: an account, a session, a payment. */
  about: string
  result: AuditResult
  /** Why, in the words of its own event. */
  reason?: string
}

const ofUser = ({ data }: { data: { userId: string } }): Told => succeeded(data.userId, data.userId)

/** A word for each event that these topics carry: the compiler asks for the one that is missing. */
const told: { [T in AuditedType]: (event: AnnalsEvent<T>) => Told } = {
  'user.registered': ofUser,
  'user.email_proved': ofUser,
  'user.profile_changed': ofUser,
  'user.email_changed': ofUser,
  'user.phone_changed': ofUser,
  'user.password_changed': ({ data }) => ({ ...succeeded(data.userId, data.userId), reason: data.by }),
  'user.sessions_ended': ofUser,
  'user.disabled': ({ data }) => ({ ...succeeded(data.userId, data.userId), reason: data.reason }),
  'user.enabled': ofUser,
  'user.role_granted': ({ data }) => ({ ...succeeded(data.userId, data.userId), reason: data.role }),
  'user.role_revoked': ({ data }) => ({ ...succeeded(data.userId, data.userId), reason: data.role }),
  'user.factor_added': ({ data }) => ({ ...succeeded(data.userId, data.factorId), reason: data.kind }),
  'user.factor_removed': ({ data }) => ({ ...succeeded(data.userId, data.factorId), reason: data.kind }),
  'user.consent_given': ({ data }) => ({ ...succeeded(data.userId, data.userId), reason: data.consent }),
  'user.consent_withdrawn': ({ data }) => ({ ...succeeded(data.userId, data.userId), reason: data.consent }),
  'user.erasure_scheduled': ofUser,
  'user.erasure_cancelled': ofUser,
  'user.erased': ofUser,
  'user.login': ({ data }) => ({ ...succeeded(data.userId, data.sessionId), reason: data.methods.join(' ') }),
  'session.refreshed': ({ data }) => succeeded(data.userId, data.sessionId),
  'session.stepped_up': ({ data }) => ({ ...succeeded(data.userId, data.sessionId), reason: data.methods.join(' ') }),
  'session.ended': ({ data }) => ({
    user: data.userId,
    about: data.sessionId,
    result: data.reason === 'refresh-token-reused' ? 'denied' : 'success',
    reason: data.reason,
  }),
  'challenge.issued': ({ data }) => ({ ...succeeded(data.userId, data.challengeId), reason: data.purpose }),
  'challenge.guessed': ({ data }) => ({ user: null, about: data.challengeId, result: 'failure' }),
  'challenge.answered': ({ data }) => ({ ...succeeded(data.userId, data.challengeId), reason: data.purpose }),
  'challenge.voided': ({ data }) => succeeded(null, data.challengeId),
  // Never published: it stands on a stream of its own.
  'challenge.made_latest': ({ data }) => succeeded(data.userId, data.challengeId),
  'payment.created': ({ data }) => succeeded(data.userId, data.paymentId),
  'payment.process_started': ({ data }) => succeeded(data.userId, data.paymentId),
  'payment.processed': ({ data }) => succeeded(data.userId, data.paymentId),
  'payment.failed': ({ data }) => ({ user: data.userId, about: data.paymentId, result: 'failure', reason: data.code }),
  'payment.outcome_unknown': ({ data }) => ({ user: data.userId, about: data.paymentId, result: 'unknown' }),
}

const succeeded = (user: string | null, about: string): Told => ({ user, about, result: 'success' })

const described = <T extends AuditedType>(event: AnnalsEvent<T>) => {
  const { user, about, result, reason = null } = told[event.type as T](event)
  const { actor, correlationId, commandId, source } = event.envelope
  return {
    at: event.at,
    actor_type: actor.type,
    actor_id: actor.id,
    user_id: user,
    about,
    result,
    reason,
    correlation_id: correlationId,
    command_id: commandId,
    source,
  }
}

/**
 * Who did what, when, to what, with which result: one entry for each event, in chains that show what was changed, taken out or cut off.
 * It holds no personal data.
 */
export const audit = defineChain({
  name: 'audit',
  version: 1,
  table: 'entry',
  topics: ['annals.users', 'annals.sessions', 'annals.challenges', 'annals.payments'],
  columns: {
    at: 'timestamptz?',
    actor_type: 'text?',
    actor_id: 'text?',
    user_id: 'uuid?',
    about: 'text?',
    result: 'text?',
    reason: 'text?',
    correlation_id: 'text?',
    command_id: 'text?',
    source: 'text?',
  },
  indexes: {
    entry_by_actor: '(actor_id, position desc)',
    entry_by_user: '(user_id, position desc)',
    entry_by_type: '(type, position desc)',
    entry_by_result: '(result, position desc)',
    entry_by_time: '(at, position desc)',
  },
  on: Object.fromEntries(Object.keys(told).map((type) => [type, described])) as unknown as {
    [T in AuditedType]: (event: AnnalsEvent<T>) => ReturnType<typeof described>
  },
  unreadable: () => ({
    at: null,
    actor_type: null,
    actor_id: null,
    user_id: null,
    about: null,
    result: null,
    reason: null,
    correlation_id: null,
    command_id: null,
    source: null,
  }),
})
