import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { ConfigError, field, kafkaFields, readConfig } from '../../src/config'
import { isProduction, isThisMachine, policyFaults, type Given } from '../../src/config/policy'

const key = (byte: number) =>
  Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 7 + byte) % 256)).toString('base64')

/** All that production accepts. */
const sound: Given = {
  EVENTSTORE_URL: 'esdb://service:secret@log.internal:2113?tlsCAFile=/ca.pem',
  COMMAND_DATABASE_URL: 'postgres://u:p@db.internal/c?sslmode=verify-full&sslrootcert=/ca.pem',
  REDIS_URL: 'rediss://:p@redis.internal:6379',
  KAFKA_BROKERS: 'kafka-1.internal:9093,kafka-2.internal:9093',
  KAFKA_TLS: 'true',
  SMTP_URL: 'smtps://u:p@mail.example.org',
  PAYMENT_GATEWAY_URL: 'https://pay.example.org',
  PAYMENT_GATEWAY_TOKEN: 'sk',
  JWKS_URL: 'https://auth.example.org/.well-known/jwks.json',
  PUBLIC_URL: 'https://annals.example.org',
  JWT_ISSUER: 'https://auth.example.org',
  WEBAUTHN_RP_ID: 'example.org',
  WEBAUTHN_ORIGINS: 'https://app.example.org,https://example.org',
  MASTER_KEY: key(1),
  RESERVATION_KEY: key(2),
}
const faultsOf = (changes: Given) => policyFaults({ ...sound, ...changes }, 'production')
const namesOf = (changes: Given) => faultsOf(changes).map((fault) => fault.split(':')[0])

describe('production', () => {
  it('accepts what is encrypted and checked', () => expect(faultsOf({})).toEqual([]))

  it('asks for the domain and the pages of passkeys', () =>
    expect(namesOf({ WEBAUTHN_RP_ID: undefined, WEBAUTHN_ORIGINS: undefined })).toEqual([
      'WEBAUTHN_RP_ID',
      'WEBAUTHN_ORIGINS',
    ]))

  it.each(['production', 'Production', 'PROD', 'prod-eu', ' production'])('is meant by %j', (name) =>
    expect(isProduction(name)).toBe(true),
  )
  it.each([undefined, '', 'development', 'compose', 'reproduction'])('is not meant by %j', (name) =>
    expect(isProduction(name)).toBe(false),
  )

  it.each([
    ['COMMAND_DATABASE_URL', 'postgres://u:p@db.internal/c'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@db.internal/c?sslmode=require'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@db.internal/c?sslmode=verify-ca'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@db.internal/c?sslmode=verify-full&sslmode=disable'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@127.0.0.1/c?host=db.internal'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@127.0.0.1/c?host=127.0.0.1&host=db.internal'],
    ['COMMAND_DATABASE_URL', 'postgres:///c'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@127.0.0.1.evil.example/c'],
    ['REDIS_URL', 'redis://:p@redis.internal:6379'],
    ['CORS_ORIGINS', 'https://app.example.org,http://app.example.org'],
    ['CSRF_KEY', key(1)],
    ['KAFKA_TLS', 'false'],
    ['KAFKA_TLS', undefined],
    ['EVENTSTORE_URL', 'esdb://log.internal:2113?tls=false'],
    ['EVENTSTORE_URL', 'esdb://log.internal:2113?TLS=False'],
    ['EVENTSTORE_URL', 'esdb+discover://log.internal:2113?tls=true&tls=false'],
    ['EVENTSTORE_URL', 'esdb://log.internal:2113?tlsVerifyCert=false'],
    ['EVENTSTORE_URL', 'esdb://admin:changeit@log.internal:2113'],
    ['SMTP_URL', 'smtp://mail.example.org'],
    ['SMTP_URL', 'smtp://mail.example.org?requireTLS=false'],
    ['SMTP_URL', 'smtp://mail.example.org?requireTLS=true&ignoreTLS=true'],
    ['SMTP_URL', 'smtp://mail.example.org?requireTLS=true&ignoreTLS=1'],
    ['SMTP_URL', 'smtps://mail.example.org?tls.rejectUnauthorized=false'],
    ['SMTP_URL', 'smtps://mail.example.org?tls.rejectUnauthorized=0'],
    ['SMTP_URL', 'smtp://127.0.0.1:1025'],
    ['PAYMENT_GATEWAY_URL', 'http://pay.example.org'],
    ['PAYMENT_GATEWAY_URL', 'http://127.0.0.1:3010'],
    ['PAYMENT_GATEWAY_TOKEN', undefined],
    ['TWILIO_BASE_URL', 'http://127.0.0.1:8026'],
    ['TWILIO_BASE_URL', 'https://sms.example.org'],
    ['JWKS_URL', 'http://auth.example.org/jwks.json'],
    ['PUBLIC_URL', 'http://annals.example.org'],
    ['PUBLIC_URL', 'http://localhost:3000'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://traces.internal:4318'],
    ['WEBAUTHN_RP_ID', 'localhost'],
    ['WEBAUTHN_ORIGINS', 'https://app.example.org, http://app.example.org'],
    ['JWT_ISSUER', 'http://127.0.0.1:3000'],
    ['JWT_ISSUER', 'https://localhost'],
    ['JWT_ISSUER', 'http://auth.example.org'],
    ['MASTER_KEY', Buffer.alloc(32).toString('base64')],
    ['PASSWORD_PEPPER', Buffer.alloc(32).toString('base64')],
    ['PASSWORD_PEPPER', key(1)],
    ['MASTER_KEY', `${key(1)},${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`],
    ['JWT_PRIVATE_JWK', '{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}'],
  ])('refuses %s = %s', (name, value) => {
    const [fault, ...more] = faultsOf({ [name]: value })
    // Kafka's plaintext is said of the brokers it would go to.
    expect(fault).toMatch(new RegExp(`^${name === 'KAFKA_TLS' ? 'KAFKA_BROKERS' : name}: .*[a-z]`))
    expect(more).toEqual([])
    if (value && value.length > 8) expect(fault).not.toContain(value)
  })

  it('refuses one key for two purposes, in whatever list it stands', () => {
    expect(faultsOf({ RESERVATION_KEY: key(1) })).toEqual([
      'RESERVATION_KEY: is the same key as MASTER_KEY; each needs its own',
    ])
    expect(namesOf({ REFRESH_TOKEN_KEY: key(9), MASTER_KEY: `${key(3)},${key(9)}` })).toEqual(['REFRESH_TOKEN_KEY'])
  })

  it.each([
    ['COMMAND_DATABASE_URL', 'postgres://u:p@127.0.0.1/c'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@[::1]:5432/c'],
    ['COMMAND_DATABASE_URL', 'postgres://u:p@%2Fvar%2Frun%2Fpostgresql/c'],
    ['COMMAND_DATABASE_URL', 'postgres:///c?host=/var/run/postgresql'],
    ['REDIS_URL', 'redis://localhost:6379'],
    ['EVENTSTORE_URL', 'esdb://127.0.0.1:2113?tls=false'],
    ['EVENTSTORE_URL', 'esdb+discover://log.internal:2113?tls=true'],
    ['SMTP_URL', 'smtp://127.0.0.1:25'],
    ['SMTP_URL', 'smtp://u:p@mail.example.org:587?requireTLS=true'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:4318'],
    ['JWKS_URL', 'http://127.0.0.1:3000/jwks.json'],
    ['JWT_ISSUER', 'annals-production'],
    ['PAYMENT_GATEWAY_URL', 'http://127.0.0.1:8443'],
  ])('lets %s = %s through: it stays on this machine, or is checked', (name, value) =>
    expect(faultsOf({ [name]: value })).toEqual([]),
  )

  it('lets brokers of this machine be plaintext, and all of them have to be', () => {
    expect(faultsOf({ KAFKA_TLS: undefined, KAFKA_BROKERS: '127.0.0.1:9092,localhost:9094' })).toEqual([])
    expect(namesOf({ KAFKA_TLS: undefined, KAFKA_BROKERS: '127.0.0.1:9092,kafka:9092' })).toEqual(['KAFKA_BROKERS'])
  })

  it.each(['127.0.0.1', '127.255.0.9', 'LOCALHOST', '::1', '[::1]'])('%s is this machine', (host) =>
    expect(isThisMachine(host)).toBe(true),
  )
  it.each([
    '127.0.0.1.example.org',
    'localhost.example.org',
    '127.1.1.256',
    '128.0.0.1',
    '0.0.0.0',
    '',
    '::2',
    'kafka',
  ])('%j is not', (host) => expect(isThisMachine(host)).toBe(false))
})

describe('elsewhere', () => {
  it('plaintext and sandboxes are what they are for', () =>
    expect(
      policyFaults(
        { REDIS_URL: 'redis://redis:6379', TWILIO_BASE_URL: 'http://sms:8026', JWT_ISSUER: 'http://127.0.0.1:3000' },
        'compose',
      ),
    ).toEqual([]))

  it.each([
    [{ KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u' }, ['KAFKA_SASL_PASSWORD']],
    [{ KAFKA_SASL_PASSWORD: 'p' }, ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME']],
    [{ KAFKA_TLS_CA: '/ca.pem' }, ['KAFKA_TLS_CA']],
    [{ COOKIE_MODE: 'on' }, ['CSRF_KEY', 'CORS_ORIGINS']],
    [{ COOKIE_MODE: 'on', CSRF_KEY: key(9) }, ['CORS_ORIGINS']],
    [{ COOKIE_MODE: 'on', CSRF_KEY: key(9), CORS_ORIGINS: 'https://app.example.org' }, []],
    [{ REDIS_TLS_CA: '/ca.pem', REDIS_URL: 'redis://redis:6379' }, ['REDIS_TLS_CA']],
  ])('%j is refused everywhere: it would be without effect', (given: Given, names) =>
    expect(policyFaults(given, 'development').map((fault) => fault.split(':')[0])).toEqual(names),
  )
})

describe('readConfig', () => {
  const Config = z.object({ ...kafkaFields, REDIS_URL: field.url('redis', 'rediss'), PORT: field.port(1) })

  it('tells what is malformed and what production refuses in one message, without a value', () => {
    const read = () =>
      readConfig(Config, {
        ENVIRONMENT: 'production',
        KAFKA_BROKERS: 'kafka.internal:9092',
        KAFKA_TLS_CA: '/nowhere/ca.pem',
        REDIS_URL: 'redis://:hunter2@redis.internal',
        PORT: 'x',
      })
    expect(read).toThrow(ConfigError)
    const message = (() => {
      try {
        return String(read())
      } catch (error) {
        return (error as Error).message
      }
    })()
    for (const name of ['KAFKA_BROKERS', 'KAFKA_TLS_CA', 'REDIS_URL', 'PORT'])
      expect(message).toMatch(new RegExp(`^  ${name}: `, 'm'))
    expect(message).not.toContain('hunter2')
  })

  it('asks where it runs even when the schema does not', () => {
    const env = { REDIS_URL: 'redis://redis.internal', KAFKA_BROKERS: '127.0.0.1:9092' }
    expect(readConfig(Config, env)).toMatchObject({ KAFKA_TLS: false })
    expect(() => readConfig(Config, { ...env, ENVIRONMENT: 'production' })).toThrow('is refused')
  })

  it('judges only what the process uses', () => {
    const env = { ENVIRONMENT: 'production', PORT: '1', REDIS_URL: 'redis://redis.internal' }
    expect(readConfig(z.object({ PORT: field.port(1) }), env)).toEqual({ PORT: 1 })
  })
})
