import path from 'node:path'
import { createLogger } from '@annals/platform/log'
import type { DatabaseRecipe } from '@annals/platform/testing'

export const silent = createLogger('test', 'silent')

/** The key table. */
export const commandDatabase: DatabaseRecipe = { name: 'command', migrations: path.join(__dirname, '../../migrations') }
