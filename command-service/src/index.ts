export { CommandConfig } from './api/config'
export { commandRoutes, type CommandRoutes } from './api/routes'
export { openCommandService } from './api/service'
