import path from 'node:path'
import { z } from 'zod'
import { field, readConfig } from '@annals/platform/config'
import { exitWithMessage } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'
import { migrate } from '@annals/platform/postgres'

const Config = z.object({ COMMAND_DATABASE_URL: field.url('postgres', 'postgresql'), LOG_LEVEL: field.logLevel() })

/** Beside `src` and `dist` alike. */
export const migrationsDirectory = path.join(__dirname, '..', 'migrations')

async function main() {
  const config = readConfig(Config, process.env)
  const log = createLogger('command-service-migrate', config.LOG_LEVEL)
  await migrate(config.COMMAND_DATABASE_URL, migrationsDirectory, log)
  log.flush()
}

if (require.main === module) main().catch(exitWithMessage)
