import { placeOf } from '@annals/contracts'
import { createChains } from './chain.mjs'

/**
 * The read models as they should be, computed from the log by code of its own: no projection engine, one plain loop.
 * Counts and sums are bigint. What is personal is sealed in the log, so it comes from what the clients sent.
 *
 * @typedef {object} Sent what clients sent, by the id they were answered with
 * @property {Map<string, { email: string, name: string }>} people
 * @property {Map<string, string | null>} descriptions of payments
 *
 * @typedef {Map<string, Record<string, unknown>>} Rows by their key
 */

/** What a person sees of themselves; the rest of their events are the machine's own steps. */
const activityTypes = new Set([
  'user.registered',
  'user.email_proved',
  'user.profile_changed',
  'user.email_changed',
  'user.phone_changed',
  'user.password_changed',
  'user.sessions_ended',
  'user.disabled',
  'user.enabled',
  'user.role_granted',
  'user.role_revoked',
  'user.factor_added',
  'user.factor_removed',
  'user.erasure_scheduled',
  'user.erasure_cancelled',
  'user.erased',
  'user.login',
  'session.stepped_up',
  'session.ended',
  'payment.created',
  'payment.processed',
  'payment.failed',
])

/**
 * @param {import('./check-log.mjs').LogEvent[]} events in log order
 * @param {Sent} sent
 * @returns {Record<'users' | 'logins' | 'payments' | 'totals' | 'history' | 'activity' | 'audit', Rows>}
 */
export function foldLog(events, { people, descriptions }) {
  const [users, logins, payments, totals, history, activity, audit] = Array.from({ length: 7 }, () => new Map())
  const entryOf = createChains()

  const count = (what, at, { minor, currency }) => {
    const key = `${at.slice(0, 10)} ${currency}`
    const total = totals.get(key) ?? {
      created_count: 0n,
      created_minor: 0n,
      completed_count: 0n,
      completed_minor: 0n,
      failed_count: 0n,
      failed_minor: 0n,
    }
    total[`${what}_count`] += 1n
    total[`${what}_minor`] += BigInt(minor)
    totals.set(key, total)
  }

  for (const { id, type, stream, revision, position, data, metadata } of events) {
    const at = metadata.occurredAt
    const { userId, paymentId, sessionId, factorId } = data
    const change = (columns) =>
      Object.assign(payments.get(paymentId), { updated_at: at, revision: String(revision), ...columns })
    switch (type) {
      case 'user.registered': {
        const { email, name } = people.get(userId) ?? {}
        users.set(userId, { email, name, locale: data.locale, roles: [...data.roles], registered_at: at })
        break
      }
      case 'user.role_granted': {
        const { roles } = users.get(userId)
        if (!roles.includes(data.role)) roles.push(data.role)
        break
      }
      case 'user.role_revoked': {
        const user = users.get(userId)
        user.roles = user.roles.filter((role) => role !== data.role)
        break
      }
      // What came instead is sealed, and nobody kept what was sent: it is not compared.
      case 'user.profile_changed':
        delete users.get(userId).name
        users.get(userId).locale = data.locale
        break
      case 'user.email_changed':
        delete users.get(userId).email
        break
      case 'user.erased':
        Object.assign(users.get(userId), { email: null, name: null, roles: [] })
        break
      case 'user.login': {
        const { login_count, last_login_at } = logins.get(userId) ?? { login_count: 0n, last_login_at: at }
        logins.set(userId, { login_count: login_count + 1n, last_login_at: last_login_at > at ? last_login_at : at })
        break
      }
      case 'payment.created':
        payments.set(paymentId, {
          user_id: userId,
          status: 'pending',
          amount_minor: BigInt(data.amount.minor),
          currency: data.amount.currency,
          method_type: data.method.type,
          description: descriptions.get(paymentId) ?? null,
          failure_code: null,
          gateway_reference: null,
          attempts: 0n,
          created_at: at,
          updated_at: at,
          revision: String(revision),
        })
        count('created', at, data.amount)
        break
      case 'payment.process_started':
        change({ status: 'processing', attempts: BigInt(data.attempt), failure_code: null })
        break
      case 'payment.processed':
        change({ status: 'completed', gateway_reference: data.gatewayReference })
        count('completed', at, data.amount)
        break
      case 'payment.failed':
        change({ status: 'failed', failure_code: data.code })
        count('failed', at, data.amount)
        break
      case 'payment.outcome_unknown':
        change({ status: 'unknown' })
        break
      default:
    }
    if (stream.startsWith('payment-')) history.set(id, { payment_id: paymentId, type, revision: String(revision), at })
    if (placeOf(stream)) audit.set(id, entryOf({ id, type, stream, revision, data, metadata, position }))
    if (activityTypes.has(type))
      activity.set(id, { user_id: userId, type, at, about: paymentId ?? sessionId ?? factorId ?? userId })
  }
  return { users, logins, payments, totals, history, activity, audit }
}
