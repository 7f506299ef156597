export { notifierRoutes } from './http/routes'
