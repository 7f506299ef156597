import type { Projection } from '../engine/projection'
import { activity } from './activity'
import { paymentHistory } from './payment-history'
import { paymentTotals } from './payment-totals'
import { payments } from './payments'
import { userLogins } from './user-logins'
import { users } from './users'

export { activity, paymentHistory, payments, paymentTotals, userLogins, users }

/** Every read model of this release. */
export const projections: readonly Projection[] = [users, userLogins, payments, paymentTotals, paymentHistory, activity]

export const projectionNamed = (name: string): Projection | undefined =>
  projections.find((projection) => projection.name === name)
