import type { Projection } from '../engine/definition/projection'
import { activity } from './accounts/activity'
import { audit } from './audit/audit'
import { paymentHistory } from './payments/payment-history'
import { paymentTotals } from './payments/payment-totals'
import { payments } from './payments/payments'
import { userLogins } from './accounts/user-logins'
import { users } from './accounts/users'

export { activity, audit, paymentHistory, payments, paymentTotals, userLogins, users }

/** Every read model of this release. */
export const projections: readonly Projection[] = [
  users,
  userLogins,
  payments,
  paymentTotals,
  paymentHistory,
  activity,
  audit,
]

export const projectionNamed = (name: string): Projection | undefined =>
  projections.find((projection) => projection.name === name)
