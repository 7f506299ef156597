import { defineProjection } from '../../engine/definition/projection'

interface Activity {
  user_id: string
  type: string
  at: string
  about: string
}

const did = ({ type, at }: { type: string; at: string }, user_id: string, about: string): Activity => ({
  user_id,
  type,
  at,
  about,
})

/** What a person did, or what was done in their name: one row for each event, for that person to read. */
export const activity = defineProjection({
  name: 'activity',
  version: 2,
  table: 'activity',
  grain: 'event',
  keyColumn: 'event_id',
  topics: ['annals.users', 'annals.sessions', 'annals.payments'],
  columns: { user_id: 'uuid', type: 'text', at: 'timestamptz', about: 'text' },
  indexes: { activity_by_user: '(user_id, at desc, event_id desc)' },
  key: (event) => event.id,
  on: {
    'user.registered': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.email_proved': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.profile_changed': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.email_changed': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.phone_changed': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.password_changed': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.sessions_ended': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.disabled': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.enabled': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.role_granted': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.role_revoked': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.factor_added': (_, event) => did(event, event.data.userId, event.data.factorId),
    'user.factor_removed': (_, event) => did(event, event.data.userId, event.data.factorId),
    'user.erasure_scheduled': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.erasure_cancelled': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.erased': (_, event) => did(event, event.data.userId, event.data.userId),
    'user.login': (_, event) => did(event, event.data.userId, event.data.sessionId),
    'session.stepped_up': (_, event) => did(event, event.data.userId, event.data.sessionId),
    'session.ended': (_, event) => did(event, event.data.userId, event.data.sessionId),
    'payment.created': (_, event) => did(event, event.data.userId, event.data.paymentId),
    'payment.processed': (_, event) => did(event, event.data.userId, event.data.paymentId),
    'payment.failed': (_, event) => did(event, event.data.userId, event.data.paymentId),
  },
})
