import path from 'node:path'
import { AccessTokenClaims } from '@annals/contracts'
import { createAuthenticator } from '@annals/platform/access-tokens'
import { browserRulesOf } from '@annals/platform/api'
import { createEventLog } from '@annals/platform/event-log'
import { createConsumer, createGroupOffsets, kafkaConnection } from '@annals/platform/kafka'
import { createPool } from '@annals/platform/postgres'
import { runProcess } from '@annals/platform/process'
import { createRateLimits, createRedisWindows } from '@annals/platform/rate-limit'
import { createRedis } from '@annals/platform/redis'
import { createKeyReader, masterKeysOf, missingKeysCounter } from '@annals/platform/subject-keys'
import { createSmtpChannel, mailDomainOf } from './channels/email/smtp'
import { createTwilioChannel } from './channels/sms/twilio'
import { Config, twilioOf } from './config'
import { buildApp } from './api/app'
import { createVerdictOn } from './api/verdict'
import { startNotifier } from './notifier'
import { rules } from './rules/rules'
import { requireNotSetBack } from './set-back/deliveries-watch'
import { requireLog } from './set-back/log-watch'
import { loadTemplates } from './templates/templates'
import type { Channel } from './vocabulary'

/** The client's own limit comes just before the attempt's, and says more. */
const smsTimeoutShare = 0.9
/** Beside one for each mail in hand: six partitions, leases, the caretaker and requests. */
const deliveryConnections = 10

function openChannels(config: Config): Channel[] {
  const { SMTP_URL: url, MAIL_FROM: from, MAIL_CONCURRENCY: connections } = config
  const twilio = twilioOf(config)
  const smtp = createSmtpChannel({ url, from, connections })
  if (!twilio) return [smtp]
  return [smtp, createTwilioChannel({ ...twilio, timeoutMs: config.ATTEMPT_TIMEOUT_MS * smsTimeoutShare })]
}

void runProcess({ name: 'notifier', Config, env: process.env }, async (context) => {
  const { config, log, metrics, scope, ready, degraded, fatal } = context
  const pool = scope.add(
    'deliveries',
    createPool(config.NOTIFIER_DATABASE_URL, log, deliveryConnections + config.MAIL_CONCURRENCY),
    (opened) => opened.end(),
  )
  const keyPool = scope.add('subject keys', createPool(config.SUBJECT_KEYS_DATABASE_URL, log, 2), (opened) =>
    opened.end(),
  )
  const channels = openChannels(config)
  for (const channel of channels) scope.add(`channel ${channel.name}`, channel, (opened) => opened.close())
  const templates = loadTemplates(path.join(__dirname, '../templates'))

  const eventLog = scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (opened) => opened.close())
  const kafka = { ...kafkaConnection(config), clientId: 'annals-notifier', log }
  const offsets = createGroupOffsets(kafka)
  const consumer = createConsumer({
    ...kafka,
    groupId: config.NOTIFIER_GROUP,
    topics: config.NOTIFIER_TOPICS,
    metrics,
    onFatal: fatal,
  })
  ready({
    deliveries: () => pool.query('select from delivery limit 1'),
    subjectKeys: () => keyPool.query('select from subject_key limit 1'),
    kafka: () => consumer.check(),
    notSetBack: () => requireNotSetBack(pool),
    log: () => requireLog(pool),
  })
  // Without it requests are counted by this process alone.
  const redis = scope.add('redis', createRedis(config.REDIS_URL, log, { ca: config.REDIS_TLS_CA }), (opened) =>
    opened.disconnect(),
  )
  degraded({ redis: () => redis.ping() })
  const app = buildApp({
    pool,
    limits: createRateLimits({ table: config.RATE_LIMITS, shared: createRedisWindows(redis), metrics }),
    trustedProxies: config.TRUSTED_PROXIES,
    authenticate: createAuthenticator({
      keys: new URL(config.JWKS_URL),
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
      claims: AccessTokenClaims,
      verdictOn: createVerdictOn(eventLog),
    }),
    browsers: browserRulesOf(config),
    registry: metrics,
    log,
  })
  scope.add('http', app, (opened) => opened.close())
  await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })

  const missingKeys = missingKeysCounter(metrics)
  const notifier = startNotifier({
    consumer,
    committed: () => offsets.committed(config.NOTIFIER_GROUP, config.NOTIFIER_TOPICS),
    eventLog,
    pool,
    keys: createKeyReader(keyPool, masterKeysOf(config.MASTER_KEY), { onMissing: () => missingKeys.inc() }),
    channels,
    rules,
    templates,
    publicUrl: config.PUBLIC_URL,
    admission: {
      from: config.NOTIFY_FROM === undefined ? undefined : Date.parse(config.NOTIFY_FROM),
      ageMsMax: config.NOTIFY_AGE_HOURS_MAX * 3_600_000,
    },
    mailDomain: mailDomainOf(config.MAIL_FROM)!,
    mailSchedule: config.MAIL_RETRY_SECONDS,
    concurrency: config.MAIL_CONCURRENCY,
    attemptMsMax: config.ATTEMPT_TIMEOUT_MS,
    registry: metrics,
    log,
  })
  scope.add('notifier', notifier, (opened) => opened.stop())
  await notifier.joined
})
