import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshSecrets, root, writePrivately } from '../profile.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/**
 * The addresses and secrets that services and tests need to meet a profile's servers. `.env.example` explains each.
 *
 * @param {import('../profile.mjs').Profile} profile
 * @param {{ kafkaNodes?: number, engine?: 'native' | 'docker' }} [options]
 * @returns {Record<string, string>}
 */
export function environmentOf({ ports, secrets }, { kafkaNodes = 1, engine = 'native' } = {}) {
  const database = (role, name) => `postgres://${role}:${secrets[role]}@127.0.0.1:${ports.postgres}/${name}`
  const brokers = [ports.kafka, ports.kafka2, ports.kafka3].slice(0, kafkaNodes)
  return {
    ENVIRONMENT: 'development',
    TENANT: 'main',
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'info',
    HTTP_HOST: '127.0.0.1',
    OPERATIONS_HOST: '127.0.0.1',
    EVENTSTORE_URL: `esdb://127.0.0.1:${ports.eventstore}?tls=false`,
    KAFKA_BROKERS: brokers.map((port) => `127.0.0.1:${port}`).join(','),
    KAFKA_REPLICATION_FACTOR: String(brokers.length),
    REDIS_URL: `redis://${engine === 'docker' ? `:${secrets.redis}@` : ''}127.0.0.1:${ports.redis}`,
    POSTGRES_ADMIN_URL: `postgres://annals_admin:${secrets.postgresAdmin}@127.0.0.1:${ports.postgres}/postgres`,
    COMMAND_DATABASE_URL: database('annals_command', 'annals_command'),
    SUBJECT_KEYS_DATABASE_URL: database('annals_keys_reader', 'annals_command'),
    PROJECTION_DATABASE_URL: database('annals_projector', 'annals_read'),
    QUERY_DATABASE_URL: database('annals_query', 'annals_read'),
    NOTIFIER_DATABASE_URL: database('annals_notify', 'annals_notify'),
    MASTER_KEY: secrets.MASTER_KEY,
    SECRETS_MASTER_KEY: secrets.SECRETS_MASTER_KEY,
    PASSWORD_PEPPER: secrets.PASSWORD_PEPPER,
    RESERVATION_KEY: secrets.RESERVATION_KEY,
    REFRESH_TOKEN_KEY: secrets.REFRESH_TOKEN_KEY,
    CONSISTENCY_TOKEN_KEY: secrets.CONSISTENCY_TOKEN_KEY,
    JWT_PRIVATE_JWK: secrets.JWT_PRIVATE_JWK,
    JWT_ISSUER: `http://127.0.0.1:${ports.command}`,
    JWT_AUDIENCE: 'annals',
    JWKS_URL: `http://127.0.0.1:${ports.command}/.well-known/jwks.json`,
    BCRYPT_COST: process.env.BCRYPT_COST ?? '12',
    PAYMENT_GATEWAY_URL: `http://127.0.0.1:${ports.paymentGateway}`,
    // A profile that a former release made has none.
    ...(secrets.PAYMENT_GATEWAY_TOKEN ? { PAYMENT_GATEWAY_TOKEN: secrets.PAYMENT_GATEWAY_TOKEN } : {}),
    SMTP_URL: `smtp://127.0.0.1:${ports.smtp}`,
    MAIL_FROM: 'Annals <no-reply@annals.example>',
    PUBLIC_URL: 'http://localhost:3000',
    MAIL_INBOX_URL: `http://127.0.0.1:${ports.inbox}`,
    TWILIO_ACCOUNT_SID: secrets.TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN: secrets.TWILIO_AUTH_TOKEN,
    TWILIO_BASE_URL: `http://127.0.0.1:${ports.sms}`,
    // The number that Twilio accepts as a sender with test credentials.
    TWILIO_FROM: '+15005550006',
    COMMAND_API_URL: `http://127.0.0.1:${ports.command}`,
    QUERY_API_URL: `http://127.0.0.1:${ports.query}`,
    NOTIFIER_URL: `http://127.0.0.1:${ports.notifier}`,
    ...(process.env.OTEL_EXPORTER_OTLP_ENDPOINT
      ? { OTEL_EXPORTER_OTLP_ENDPOINT: process.env.OTEL_EXPORTER_OTLP_ENDPOINT }
      : {}),
  }
}

/** @param {import('../profile.mjs').Profile} profile @param {Record<string, string>} env */
export function writeEnvironment(profile, env) {
  writePrivately(
    profile.envFile,
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
}

/**
 * @param {import('../profile.mjs').Profile} profile
 * @returns {Record<string, string>} what the last `up` wrote
 * @throws {Trouble} when the stack was never started
 */
export function readEnvironment(profile) {
  if (!existsSync(profile.envFile)) {
    throw new Trouble(`The stack of profile "${profile.name}" was never started.`, { remedy: '`npm run stack -- up`' })
  }
  const lines = readFileSync(profile.envFile, 'utf8').split('\n').filter(Boolean)
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

/** @param {Record<string, string>} env @returns {string} lines for `eval "$(…)"` in a POSIX shell */
export const exportLines = (env) =>
  Object.entries(env)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`)
    .join('\n')

/** @returns {string} `.env.example` with every secret that can be generated filled in */
export const dotenvText = () => filledExample(freshSecrets())

/** @param {import('../profile.mjs').Profile} profile @returns {string} an env file for docker-compose.yml: its secrets and ports */
export function composeEnvironment({ secrets, ports }) {
  const lines = Object.entries(ports).map(([name, port]) => `ANNALS_PORT_${name.toUpperCase()}=${port}\n`)
  return `${filledExample(secrets)}\nKAFKA_HEAP_OPTS=-Xms128m -Xmx384m\n${lines.join('')}`
}

function filledExample(secrets) {
  const values = {
    ...secrets,
    JWT_PRIVATE_JWK: `'${secrets.JWT_PRIVATE_JWK}'`,
    // The sandbox's, and the number that Twilio accepts as a sender with test credentials.
    TWILIO_BASE_URL: 'http://sms:8026',
    TWILIO_FROM: '+15005550006',
    POSTGRES_ADMIN_PASSWORD: secrets.postgresAdmin,
    COMMAND_DATABASE_PASSWORD: secrets.annals_command,
    SUBJECT_KEYS_DATABASE_PASSWORD: secrets.annals_keys_reader,
    PROJECTION_DATABASE_PASSWORD: secrets.annals_projector,
    QUERY_DATABASE_PASSWORD: secrets.annals_query,
    NOTIFIER_DATABASE_PASSWORD: secrets.annals_notify,
    REDIS_PASSWORD: secrets.redis,
  }
  const template = readFileSync(join(root, '.env.example'), 'utf8')
  return template.replaceAll(/^([A-Z][A-Z0-9_]+)=$/gm, (_line, name) => `${name}=${values[name] ?? ''}`)
}
