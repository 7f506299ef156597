import { auditRoutes } from './audit'
import { paymentRoutes } from './payments'
import { statsRoutes } from './stats'
import { userRoutes } from './users'

/** Every route of the query API: the app is built from it, and so are the documents. */
export const queryRoutes = [...userRoutes, ...paymentRoutes, ...statsRoutes, ...auditRoutes]
