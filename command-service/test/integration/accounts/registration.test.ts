import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { decodeConsistencyToken } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { derivedId } from '@annals/platform/ids'
import { startTracing } from '@annals/platform/tracing'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { createAddressHash } from '../../../src/accounts/commands/registration'
import { commandDatabase, silent } from '../../support/database'
import {
  newEmail,
  password,
  startTestService,
  testEnvironment,
  type Environment,
  type TestService,
} from '../../support/service'

const path = '/api/v1/auth/register'
const scope = testScope('file')
let database: TestDatabase
let environment: Environment
let service: TestService
let log: EventLog
let addressHash: (email: string) => string

beforeAll(async () => {
  scope.onEnd(await startTracing('test', undefined))
  database = await scope.database(commandDatabase)
  environment = testEnvironment({ COMMAND_DATABASE_URL: database.url, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  addressHash = createAddressHash(Buffer.from(environment['RESERVATION_KEY']!, 'base64'), 'main')
})

const anna = (email = newEmail()) => ({ email, password, name: 'Anna', locale: 'de' })
const register = (body: unknown, key?: string, through = service) =>
  through.post(path, { body, ...(key ? { headers: { 'idempotency-key': key } } : {}) })
const reservationOf = (email: string) => `email-${addressHash(email)}`

describe('registering', () => {
  it('answers 201 with where the fact stands', async () => {
    const { status, body, headers } = await register(anna())
    expect(status).toBe(201)
    expect(headers.get('etag')).toBe('"0"')
    expect(headers.get('location')).toBe(`/api/v1/users/${body.userId}`)
    const [registered] = await log.readStream(`user-${body.userId}`)
    expect(decodeConsistencyToken(body.consistencyToken)).toEqual({
      stream: `user-${body.userId}`,
      revision: 0,
      log: (await log.identity())!.slice(0, 8),
      position: registered!.position,
    })
  })

  it('leaves no address, name or password in the log, and one sealed text instead', async () => {
    const person = anna()
    const { body } = await register(person)
    const [registered] = await log.readStream(`user-${body.userId}`)
    const { credentialId, sealed } = registered!.data as { credentialId: string; sealed: string }
    const [credential] = await log.readStream(`credential-${credentialId}`)
    const [reservation] = await log.readStream(reservationOf(person.email))
    expect(sealed.length).toBeGreaterThan(80)
    const everything = JSON.stringify([registered, credential, reservation], (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    for (const secret of [person.email, person.name, password, '$2b$']) expect(everything).not.toContain(secret)
  })

  it('carries the envelope of its command on every event', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const correlationId = randomUUID()
    const { body } = await service.post(path, {
      body: anna(),
      headers: { 'x-correlation-id': correlationId, traceparent },
    })
    const [registered] = await log.readStream(`user-${body.userId}`)
    expect(registered!.metadata).toMatchObject({
      schemaVersion: 3,
      tenant: 'main',
      correlationId,
      actor: { type: 'user', id: body.userId },
      source: 'command-service',
      subject: body.userId,
      traceparent: expect.stringContaining('0af7651916cd43dd8448eb211c80319c'),
    })
  })

  it('knows an address in every spelling', async () => {
    const email = newEmail()
    await register(anna(email))
    const { status, body } = await register(anna(` ${email.toUpperCase()} `))
    expect([status, body.code]).toEqual([409, 'email-taken'])
  })

  it.each([
    ['an address that is none', { email: 'anna' }, '/body/email'],
    ['a short password', { password: 'short' }, '/body/password'],
    ['a password of 129 characters', { password: 'ä'.repeat(129) }, '/body/password'],
    ['a password with a NUL', { password: `${password}\0` }, '/body/password'],
    ['an empty name', { name: ' ' }, '/body/name'],
    ['a locale that is none', { locale: 'deutsch' }, '/body/locale'],
    ['a field that it does not know', { isAdmin: true }, '/body'],
  ])('refuses %s and names the field', async (_, change, pointer) => {
    const { status, body, headers } = await register({ ...anna(), ...change })
    expect([status, body.code]).toEqual([400, 'invalid-request'])
    expect(headers.get('content-type')).toContain('application/problem+json')
    expect(body.errors).toContainEqual(expect.objectContaining({ pointer }))
  })

  it('refuses a password that everybody would try first, and writes nothing', async () => {
    const email = newEmail()
    for (const [weak, code] of [
      ['Password1234Password1234', 'password-too-common'],
      [email, 'password-too-common'],
      ['Annals-Anna-2026', 'password-too-common'],
      ['kxrwqpzmvbtjhy', 'password-too-short'],
    ]) {
      const { status, body } = await register({ ...anna(email), password: weak })
      expect([status, body.code]).toEqual([422, code])
      expect(body.detail).toContain('several words')
    }
    expect(await log.readStream(reservationOf(email))).toEqual([])
    expect((await register(anna(email))).status).toBe(201)
  })

  it('refuses what is no JSON, no object, too large or of another type', async () => {
    expect((await register('{')).body.code).toBe('invalid-request')
    expect((await register('[]')).body.code).toBe('invalid-request')
    expect((await register({ ...anna(), name: 'x'.repeat(70_000) })).body.code).toBe('payload-too-large')
    const { status } = await service.post(path, { body: 'a=b', headers: { 'content-type': 'text/plain' } })
    expect(status).toBe(415)
  })
})

describe('an address', () => {
  it('is registered once, by however many at the same time', async () => {
    const email = newEmail()
    const other = await startTestService(scope, environment)
    try {
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, i) => register(anna(email), undefined, i % 2 ? service : other)),
      )
      const outcomes = replies.map(({ status, body }) => (status === 201 ? '201' : `${status} ${body.code}`))
      expect(outcomes.filter((outcome) => outcome === '201')).toHaveLength(1)
      expect(outcomes.filter((outcome) => outcome === '409 email-taken')).toHaveLength(19)
      const { userId } = replies.find(({ status }) => status === 201)!.body
      expect(await log.readStream(`user-${userId}`)).toHaveLength(1)
      const { status } = await service.post('/api/v1/auth/login', { body: { email, password } })
      expect(status).toBe(200)
    } finally {
      await other.close()
    }
  })

  it('that a crashed registration holds is given to the next who comes', async () => {
    const email = newEmail()
    const held = randomUUID()
    const envelope = {
      schemaVersion: 1,
      tenant: 'main',
      commandId: randomUUID(),
      correlationId: 'crashed',
      causationId: 'crashed',
      actor: { type: 'system', id: 'test' },
      occurredAt: new Date().toISOString(),
      source: 'test',
    }
    const reserved = { id: randomUUID(), type: 'email.reserved', data: { userId: held }, metadata: envelope }
    await log.append(reservationOf(email), [reserved], -1)
    const { status, body } = await register(anna(email))
    expect([status, body.userId]).toEqual([201, held])
    expect((await register(anna(email))).body.code).toBe('email-taken')
  })
})

describe('an idempotency key of a registration', () => {
  it('brings the same answer again', async () => {
    const person = anna()
    const key = randomUUID()
    const first = await register(person, key)
    const second = await register(person, key)
    expect(first.status).toBe(201)
    expect([second.status, second.body]).toEqual([201, first.body])
    expect(await log.readStream(`user-${first.body.userId}`)).toHaveLength(1)
  })

  it('is remembered over a restart', async () => {
    const person = anna()
    const key = randomUUID()
    const first = await register(person, key)
    const restarted = await startTestService(scope, environment)
    try {
      const second = await register(person, key, restarted)
      expect([second.status, second.body]).toEqual([201, first.body])
    } finally {
      await restarted.close()
    }
  })

  it('belongs to one body', async () => {
    const person = anna()
    const key = randomUUID()
    await register(person, key)
    const { status, body } = await register({ ...person, name: 'Berta' }, key)
    expect([status, body.code]).toEqual([422, 'idempotency-key-reused'])
  })

  it('belongs to one password, which the fingerprint in the log does not show', async () => {
    const person = anna()
    const key = randomUUID()
    const first = await register(person, key)
    const { status, body } = await register({ ...person, password: 'another horse battery' }, key)
    expect([status, body.code]).toEqual([422, 'idempotency-key-reused'])
    const [registered] = await log.readStream(`user-${first.body.userId}`)
    expect((registered!.metadata as { fingerprint: string }).fingerprint).toMatch(/^[0-9a-f]{64}$/)
  })

  it('of one address does not meet that of another', async () => {
    const key = randomUUID()
    const [one, two] = await Promise.all([register(anna(), key), register(anna(), key)])
    expect([one.status, two.status]).toEqual([201, 201])
    expect(one.body.userId).not.toBe(two.body.userId)
  })

  it('runs once when its requests come together', async () => {
    const person = anna()
    const key = randomUUID()
    const replies = await Promise.all(Array.from({ length: 5 }, () => register(person, key)))
    const done = replies.filter(({ status }) => status === 201)
    const running = replies.filter(({ body }) => body.code === 'command-in-progress')
    expect(done.length).toBeGreaterThanOrEqual(1)
    expect(done.length + running.length).toBe(5)
    expect(new Set(done.map(({ body }) => body.userId)).size).toBe(1)
    for (const { status, headers } of running) expect([status, headers.get('retry-after')]).toEqual([409, '1'])
  })

  it('completes what a crash left behind after any step', async () => {
    const person = anna()
    const key = randomUUID()
    const commandId = derivedId('command', 'main', addressHash(person.email), 'POST /api/v1/auth/register', key)
    const userId = derivedId('user', commandId)
    // The first step alone, with the id that the service gives it: the crash came right after.
    const envelope = {
      schemaVersion: 1,
      tenant: 'main',
      commandId: derivedId(commandId, 'reservation'),
      correlationId: 'crashed',
      causationId: commandId,
      actor: { type: 'user', id: userId },
      occurredAt: new Date().toISOString(),
      source: 'command-service',
    }
    const id = derivedId(envelope.commandId, '', 0)
    await log.append(
      reservationOf(person.email),
      [{ id, type: 'email.reserved', data: { userId }, metadata: envelope }],
      -1,
    )
    const { status, body } = await register(person, key)
    expect([status, body.userId]).toEqual([201, userId])
  })

  it('is refused when it is none', async () => {
    const { status, body } = await register(anna(), 'with a space')
    expect([status, body.code]).toEqual([400, 'invalid-request'])
    expect(body.errors).toEqual([expect.objectContaining({ pointer: '/headers/idempotency-key' })])
  })
})

describe("a person's data key", () => {
  it('is made before the first fact about them, wrapped, and readable by the role that may only select', async () => {
    const { body } = await register(anna())
    const { pool } = database
    try {
      const { rows } = await pool.query('select * from subject_key where subject = $1', [body.userId])
      expect(rows).toHaveLength(1)
      expect(rows[0].tenant).toBe('main')
      expect(rows[0].wrapped_key).toHaveLength(61)
      expect(rows[0].master_key_id).toMatch(/^sha256:[0-9a-f]{16}$/)
      const { rows: grants } = await pool.query(
        "select privilege_type from information_schema.role_table_grants where grantee = 'annals_keys_reader' and table_name = 'subject_key'",
      )
      expect(grants.map((grant) => grant.privilege_type)).toEqual(['SELECT'])
    } finally {
    }
  })

  it('once destroyed lets nobody log in, and is never made anew', async () => {
    const email = newEmail()
    const { body } = await register(anna(email))
    const { pool } = database
    // Another process: keys are cached for minutes.
    const fresh = await startTestService(scope, environment)
    try {
      await pool.query('update subject_key set wrapped_key = null, destroyed_at = now() where subject = $1', [
        body.userId,
      ])
      const login = await fresh.post('/api/v1/auth/login', { body: { email, password } })
      expect([login.status, login.body.code]).toEqual([401, 'invalid-credentials'])
      const { rows } = await pool.query('select wrapped_key from subject_key where subject = $1', [body.userId])
      expect(rows).toEqual([{ wrapped_key: null }])
    } finally {
      await fresh.close()
    }
  })
})
