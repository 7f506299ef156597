import type { AnnalsApi } from '@annals/contracts'
import type { Route } from '@annals/platform/api'
import { factorRoutes, type FactorRouteDeps } from '../accounts/factors/routes'
import { accountRoutes, type AccountRouteDeps } from '../accounts/routes'
import { paymentRoutes, type PaymentRouteDeps } from '../payments/routes'
import { secondFactorRoutes, type SecondFactorRouteDeps } from '../sessions/second-factor-routes'
import { sessionRoutes, type SessionRouteDeps } from '../sessions/routes'

export type CommandRouteDeps = AccountRouteDeps &
  FactorRouteDeps &
  SessionRouteDeps &
  SecondFactorRouteDeps &
  PaymentRouteDeps

/** What the command API answers to. */
export const commandRoutes: readonly Route<CommandRouteDeps, AnnalsApi>[] = [
  ...accountRoutes,
  ...factorRoutes,
  ...sessionRoutes,
  ...secondFactorRoutes,
  ...paymentRoutes,
]
