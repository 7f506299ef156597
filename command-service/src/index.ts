export { CommandConfig } from './api/config'
export { commandRoutes } from './api/routes'
export { openCommandService } from './api/service'
