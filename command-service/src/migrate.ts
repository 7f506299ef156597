import path from 'node:path'
import { z } from 'zod'
import { field } from '@annals/platform/config'
import { migrate } from '@annals/platform/postgres'
import { exitWithMessage, runOnce } from '@annals/platform/process'

const Config = z.object({ COMMAND_DATABASE_URL: field.url('postgres', 'postgresql'), LOG_LEVEL: field.logLevel() })

/** Beside `src` and `dist` alike. */
export const migrationsDirectory = path.join(__dirname, '..', 'migrations')

if (require.main === module)
  runOnce({ name: 'command-service-migrate', Config, env: process.env }, ({ config, log }) =>
    migrate(config.COMMAND_DATABASE_URL, migrationsDirectory, log),
  ).catch(exitWithMessage)
