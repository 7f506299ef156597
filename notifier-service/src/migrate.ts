import path from 'node:path'
import { z } from 'zod'
import { field } from '@annals/platform/config'
import { migrate } from '@annals/platform/postgres'
import { exitWithMessage, runOnce } from '@annals/platform/process'

const Config = z.object({ NOTIFIER_DATABASE_URL: field.url('postgres', 'postgresql'), LOG_LEVEL: field.logLevel() })

/** Brings the notifier's database to this release's form. Safe to repeat, and beside another one. */
runOnce({ name: 'notifier-migrate', Config, env: process.env }, ({ config, log }) =>
  migrate(config.NOTIFIER_DATABASE_URL, path.join(__dirname, '..', 'migrations'), log),
).catch(exitWithMessage)
