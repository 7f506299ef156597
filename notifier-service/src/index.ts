export { notifierRoutes } from './api/routes'
