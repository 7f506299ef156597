import { existsSync } from 'node:fs'
import path from 'node:path'
import type { TestProcess, TestScope } from '@annals/platform/testing'
import { master } from './facts'
import { mailFrom } from './notifier'
import { ownServers } from './servers'

const main = path.join(__dirname, '../../dist/main.js')
const shiftedClock = path.join(__dirname, 'shifted-clock.cjs')

/**
 * Notifiers as they are run, of one group, on a database, topics and a mail server of the test's own.
 * @param settings written over the environment.
 */
export async function notifierProcesses(scope: TestScope, settings: Record<string, string> = {}) {
  if (!existsSync(main)) throw new Error('notifier-service is not built: run `npm run build` first')
  const { pool, url, topics, mail, store, group } = await ownServers(scope)
  const env = {
    ...process.env,
    NOTIFIER_DATABASE_URL: url,
    EVENTSTORE_URL: store.url,
    SUBJECT_KEYS_DATABASE_URL: url,
    MASTER_KEY: master.key.toString('base64'),
    NOTIFIER_TOPICS: topics.all.join(),
    NOTIFIER_GROUP: group,
    SMTP_URL: mail.smtpUrl,
    MAIL_FROM: mailFrom,
    PUBLIC_URL: 'https://annals.example',
    MAIL_CONCURRENCY: '3',
    MAIL_RETRY_SECONDS: '1,1,1,1,1,1,1,1,1,1',
    HTTP_PORT: '0',
    OPERATIONS_PORT: '0',
    LOG_LEVEL: 'warn',
    ...settings,
  }

  /** @param clockShiftMs how far the clock of this process is ahead of the machine's. */
  function start({ clockShiftMs = 0 }: { clockShiftMs?: number } = {}): TestProcess {
    const shifted = clockShiftMs === 0 ? [] : ['--require', shiftedClock]
    return scope.process([...shifted, main], {
      env: { ...env, CLOCK_SHIFT_MS: String(clockShiftMs) },
      showsErrors: false,
    })
  }

  return { pool, topics, mail, group, start }
}
