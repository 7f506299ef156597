import type { AnnalsApi } from '@annals/contracts'
import type { Route } from '@annals/platform/api'
import { accountRoutes, type AccountRouteDeps } from '../accounts/routes'
import { paymentRoutes, type PaymentRouteDeps } from '../payments/routes'
import { sessionRoutes, type SessionRouteDeps } from '../sessions/routes'

export type CommandRouteDeps = AccountRouteDeps & SessionRouteDeps & PaymentRouteDeps

/** What the command API answers to. */
export const commandRoutes: readonly Route<CommandRouteDeps, AnnalsApi>[] = [
  ...accountRoutes,
  ...sessionRoutes,
  ...paymentRoutes,
]
