import type { AnnalsApi } from '@annals/contracts'
import type { Route } from '@annals/platform/api'
import { factorRoutes, type FactorRouteDeps } from '../accounts/factors/routes'
import { emailRoutes, type EmailRouteDeps } from '../accounts/email-routes'
import { passwordRoutes, type PasswordRouteDeps } from '../accounts/password-routes'
import { profileRoutes, type ProfileRouteDeps } from '../accounts/profile-routes'
import { accountRoutes, type AccountRouteDeps } from '../accounts/routes'
import { paymentRoutes, type PaymentRouteDeps } from '../payments/routes'
import { secondFactorRoutes, type SecondFactorRouteDeps } from '../sessions/second-factor-routes'
import { sessionRoutes, type SessionRouteDeps } from '../sessions/routes'

export type CommandRouteDeps = AccountRouteDeps &
  FactorRouteDeps &
  SecondFactorRouteDeps &
  PasswordRouteDeps &
  EmailRouteDeps &
  ProfileRouteDeps &
  SessionRouteDeps &
  PaymentRouteDeps

/** What the command API answers to. */
export const commandRoutes: readonly Route<CommandRouteDeps, AnnalsApi>[] = [
  ...accountRoutes,
  ...factorRoutes,
  ...passwordRoutes,
  ...emailRoutes,
  ...profileRoutes,
  ...sessionRoutes,
  ...secondFactorRoutes,
  ...paymentRoutes,
]
