import path from 'node:path'
import { createLogger } from '@annals/platform/log'
import type { DatabaseRecipe } from '@annals/platform/testing'

export const silent = createLogger('test', 'silent')

/** What read models lie in, without any. */
export const projectionDatabase: DatabaseRecipe = {
  name: 'projection',
  migrations: path.join(__dirname, '../../migrations'),
}
