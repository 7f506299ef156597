import type { QueryRoute } from '../route'
import { paymentRoutes } from './payments'
import { statsRoutes } from './stats'
import { userRoutes } from './users'

/** Every route of the query API: the app is built from it, and so is its document. */
export const queryRoutes: readonly QueryRoute[] = [...userRoutes, ...paymentRoutes, ...statsRoutes]
