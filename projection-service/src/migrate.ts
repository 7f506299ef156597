import path from 'node:path'
import { z } from 'zod'
import { field, processFields, readConfig } from '@annals/platform/config'
import { exitWithMessage } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'
import { migrate } from '@annals/platform/postgres'

const Config = z.object({
  LOG_LEVEL: processFields.LOG_LEVEL,
  PROJECTION_DATABASE_URL: field.url('postgres', 'postgresql'),
})

async function main() {
  const config = readConfig(Config, process.env)
  const log = createLogger('projection-migrate', config.LOG_LEVEL)
  await migrate(config.PROJECTION_DATABASE_URL, path.join(__dirname, '..', 'migrations'), log)
}

main().catch(exitWithMessage)
