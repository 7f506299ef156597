import path from 'node:path'
import { field, readConfig } from '@annals/platform/config'
import { exitWithMessage } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'
import { migrate } from '@annals/platform/postgres'
import { z } from 'zod'

/** Brings the notifier's database to this release's form. Safe to repeat, and beside another one. */
async function main(): Promise<void> {
  const schema = z.object({
    NOTIFIER_DATABASE_URL: field.url('postgres', 'postgresql'),
    LOG_LEVEL: field.logLevel(),
  })
  const config = readConfig(schema, process.env)
  const log = createLogger('notifier-migrate', config.LOG_LEVEL)
  await migrate(config.NOTIFIER_DATABASE_URL, path.join(__dirname, '../migrations'), log)
}

main().catch(exitWithMessage)
