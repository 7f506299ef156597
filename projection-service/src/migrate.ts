import path from 'node:path'
import { z } from 'zod'
import { field } from '@annals/platform/config'
import { migrate } from '@annals/platform/postgres'
import { exitWithMessage, runOnce } from '@annals/platform/process'

const Config = z.object({ PROJECTION_DATABASE_URL: field.url('postgres', 'postgresql'), LOG_LEVEL: field.logLevel() })

runOnce({ name: 'projection-migrate', Config, env: process.env }, ({ config, log }) =>
  migrate(config.PROJECTION_DATABASE_URL, path.join(__dirname, '..', 'migrations'), log),
).catch(exitWithMessage)
