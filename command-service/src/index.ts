export { CommandConfig } from './config'
export { commandRoutes, type CommandRoutes } from './http/routes'
export { openCommandService } from './service'
