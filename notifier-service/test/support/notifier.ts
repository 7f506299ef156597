import path from 'node:path'
import { createConsumer, createGroupOffsets } from '@annals/platform/kafka'
import { createMetrics } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import { createKeyReader } from '@annals/platform/subject-keys'
import { requireEnv, type TestScope } from '@annals/platform/testing'
import type { Channel } from '../../src/vocabulary'
import { createSmtpChannel } from '../../src/channels/email/smtp'
import { startNotifier, type NotifierDeps } from '../../src/notifier'
import { rules } from '../../src/rules/rules'
import { loadTemplates } from '../../src/templates/templates'
import { masters } from './facts'
import { log, ownServers } from './servers'

export const templates = loadTemplates(path.join(__dirname, '../../templates'))
export const mailFrom = 'Annals <no-reply@annals.example>'

export interface DeliveryRow {
  id: string
  rule: string
  recipient: string
  state: string
  reason: string | null
  attempts: number
  identity: string
}

export interface AttemptRow {
  delivery_id: string
  number: number
  outcome: string | null
  code: string | null
  /** ISO 8601. */
  started_at: string
  finished_at: string | null
}

export async function deliveries(pool: Pool, recipient?: string): Promise<DeliveryRow[]> {
  const { rows } = await pool.query<DeliveryRow>(
    `select id, rule, recipient, state, reason, attempts, identity from delivery
     where $1::text is null or recipient = $1 order by rule, id`,
    [recipient ?? null],
  )
  return rows
}

export async function attempts(pool: Pool, deliveryId: string): Promise<AttemptRow[]> {
  const { rows } = await pool.query<AttemptRow>('select * from attempt where delivery_id = $1 order by number', [
    deliveryId,
  ])
  return rows
}

/** A whole notifier in this process, on a database, topics and a mail server of its own. */
export async function notifierStack(scope: TestScope, options: Partial<NotifierDeps> & { channels?: Channel[] } = {}) {
  const { pool, url, topics, mail, store, eventLog, group } = await ownServers(scope)
  const smtp = createSmtpChannel({ url: mail.smtpUrl, from: mailFrom, connections: 5 })

  async function start(more: Partial<NotifierDeps> = {}) {
    const registry = createMetrics('test')
    const kafka = { brokers: requireEnv('KAFKA_BROKERS').split(','), clientId: 'test', log }
    const offsets = createGroupOffsets(kafka)
    const consumer = createConsumer({
      ...kafka,
      groupId: group,
      topics: topics.all,
      onFatal: (error) => log.error({ err: error }, 'consumer ended'),
    })
    const notifier = startNotifier({
      consumer,
      committed: () => offsets.committed(group, topics.all),
      eventLog,
      pool,
      keys: createKeyReader(pool, masters, { cacheMs: 1 }),
      channels: [smtp],
      rules,
      templates,
      publicUrl: 'https://annals.example',
      admission: { from: undefined, ageMsMax: 72 * 3_600_000 },
      mailDomain: 'annals.example',
      mailSchedule: [1, 1],
      concurrency: 5,
      attemptMsMax: 10_000,
      registry,
      log,
      ...options,
      ...more,
    })
    scope.add(notifier, () => notifier.stop())
    await notifier.joined
    return Object.assign(notifier, { registry })
  }
  scope.add(smtp, () => smtp.close())
  return { pool, url, topics, mail, store, eventLog, group, smtp, start }
}
