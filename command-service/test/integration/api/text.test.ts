/** What clients send as text, and what is kept of it. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { decodeAll, type AnnalsEvent } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { type Pool } from '@annals/platform/postgres'
import { createKeyReader, masterKeysOf, type KeyReader } from '@annals/platform/subject-keys'
import { hostileTexts, testScope, type TestDatabase } from '@annals/platform/testing'
import { commandDatabase, silent } from '../../support/database'
import {
  aPayment,
  fromNewNetwork,
  newEmail,
  newPayment,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Person,
  type TestService,
} from '../../support/service'
import { startTestPaymentGateway, type TestPaymentGateway } from '../../support/payment-gateway'

const scope = testScope('file')
let database: TestDatabase
let paymentGateway: TestPaymentGateway
let service: TestService
let log: EventLog
let pool: Pool
let keys: KeyReader
let anna: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  paymentGateway = await startTestPaymentGateway(scope)
  const environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: paymentGateway.url,
    TRUSTED_PROXIES: '127.0.0.1',
  })
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  ;({ pool } = database)
  keys = createKeyReader(pool, masterKeysOf([Buffer.from(environment['MASTER_KEY']!, 'base64')]))
  anna = await somebody(service)
})

const register = (over: Record<string, unknown>) =>
  service.post('/api/v1/auth/register', { body: { email: newEmail(), password, name: 'Anna', ...over } })
const login = (email: string, secret: string, headers: Record<string, string> = fromNewNetwork()) =>
  service.post('/api/v1/auth/login', { body: { email, password: secret }, headers })

/** The first event of a stream, opened. */
async function firstOf(stream: string): Promise<AnnalsEvent> {
  const [result] = await decodeAll(await log.readStream(stream), keys.openAll)
  if (result?.kind !== 'event') throw new Error(`${stream}: ${JSON.stringify(result)}`)
  return result.event
}

describe('a name', () => {
  it.each(['Ann\u0000e', 'Ann\ud83d', '\ude00Ann', 'A\ude00\ud83dn', '\u200b\u200b', '\u3164', 'Ann\u202egpj'])(
    '%j is refused, with its place',
    async (name) => {
      const { status, body } = await register({ name })
      expect([status, body.errors?.[0]?.pointer]).toEqual([400, '/body/name'])
    },
  )

  it('is kept in one form, however it was typed, also under one idempotency key', async () => {
    const headers = { 'idempotency-key': randomUUID() }
    const email = newEmail()
    const send = (name: string) => service.post('/api/v1/auth/register', { body: { email, password, name }, headers })
    const { body } = await send(' Zoe\u0308 ')
    expect((await firstOf(`user-${body.userId}`)).data).toMatchObject({ name: 'Zo\u00eb' })
    expect(await send('Zo\u00eb')).toMatchObject({ status: 201, body: { userId: body.userId } })
  })
})

describe('an address', () => {
  it.each([
    ['bugs&co@example.org', 201],
    ['a@xn--e1afmkfd.xn--p1ai', 201],
    ['a@b\u00fccher.example', 201],
    ['b\u00fcgs@example.org', 400],
    [`${'a'.repeat(65)}@example.org`, 400],
    [`a@${'a'.repeat(64)}.org`, 400],
    ['a@example-.org', 400],
  ])('%s is answered %i', async (address, status) => {
    // Of this run alone: the log remembers others.
    const email = address.replace('@', `@r${randomUUID().slice(0, 8)}.`)
    const answer = await register({ email })
    expect(answer.status).toBe(status)
  })

  it('in another script is one with its A-label', async () => {
    const host = `r${randomUUID().slice(0, 8)}`
    expect((await register({ email: `a@${host}.b\u00fccher.example` })).status).toBe(201)
    const again = await register({ email: `A@${host}.xn--bcher-kva.example` })
    expect(again.body.code).toBe('email-taken')
    expect((await login(`a@${host}.B\u00dcCHER.example`, password)).status).toBe(200)
  })

  it('of a form that was accepted once is told no more than that it does not match', async () =>
    expect((await login('a@example-.org', password)).body.code).toBe('invalid-credentials'))
})

describe('a password', () => {
  it('is the same in NFC and in NFD', async () => {
    const email = newEmail()
    expect((await register({ email, password: 'z\u00e4hlbare W\u00f6rter' })).status).toBe(201)
    expect((await login(email, 'za\u0308hlbare Wo\u0308rter')).status).toBe(200)
  })

  it('with half of a surrogate pair is refused, and matches none', async () => {
    expect((await register({ password: `${password}\ud800` })).status).toBe(400)
    const email = newEmail()
    expect((await register({ email, password: `${password}\ufffd` })).status).toBe(201)
    expect((await login(email, `${password}\udfff`)).status).toBe(401)
    expect((await login(email, `${password}\ufffd`)).status).toBe(200)
  })

  it('of 128 characters is matched by no other that begins alike, nor with a NUL behind it', async () => {
    const email = newEmail()
    const longest = 'три слова €uro '.repeat(9).slice(0, 128)
    expect((await register({ email, password: `${longest}!` })).status).toBe(400)
    expect((await register({ email, password: longest })).status).toBe(201)
    for (const wrong of [longest.slice(0, -1), `${longest.slice(0, -1)}!`, `${longest}!`, `${longest}\0`])
      expect((await login(email, wrong)).status).toBe(401)
    expect((await login(email, longest)).status).toBe(200)
  })
})

describe('a body', () => {
  const send = (path: string, content: Buffer, headers: Record<string, string>) =>
    fetch(new URL(path, service.url), { method: 'POST', body: content, headers })
  const path = '/api/v1/payments'
  const bodyOf = (description: string, encoding: BufferEncoding) =>
    Buffer.from(JSON.stringify({ ...aPayment(), description }), encoding)
  const headers = () => ({ authorization: `Bearer ${anna.token}`, 'idempotency-key': randomUUID() })

  it('is UTF-8 or nothing', async () => {
    const type = { 'content-type': 'application/json' }
    const latin1 = { 'content-type': 'application/json; charset=iso-8859-1' }
    expect((await send(path, bodyOf('caf\u00e9', 'utf8'), { ...headers(), ...type })).status).toBe(201)
    expect((await send(path, bodyOf('caf\u00e9', 'latin1'), { ...headers(), ...type })).status).toBe(400)
    expect((await send(path, bodyOf('caf\u00e9', 'latin1'), { ...headers(), ...latin1 })).status).toBe(415)
  })

  it('is not needed where nothing is said with it', async () => {
    const type = { 'content-type': 'application/json' }
    const { token } = await somebody(service)
    const authorization = `Bearer ${token}`
    const payment = await newPayment(service, anna)
    expect((await service.post(`${path}/${payment}/process`, { token: anna.token, headers: type })).status).toBe(200)
    expect((await service.post('/api/v1/auth/logout', { headers: { authorization, ...type } })).status).toBe(204)
    const empty = await service.post('/api/v1/auth/login', { headers: type })
    expect([empty.status, empty.body.code]).toEqual([400, 'invalid-request'])
  })

  it('keeps the lines of a description', async () => {
    const body = { ...aPayment(), description: 'two\r\nlines\tof tea ' }
    const created = await service.post(path, { token: anna.token, body, headers: { 'idempotency-key': randomUUID() } })
    expect((await firstOf(`payment-${created.body.paymentId}`)).data).toMatchObject({
      description: 'two\nlines\tof tea',
    })
  })
})

describe('what comes with a login', () => {
  it.each([
    ['a user agent with C1 controls', { 'user-agent': 'b\u0085a\u009bd/1.0' }, { userAgent: 'b\ufffda\ufffdd/1.0' }],
    ['a long one', { 'user-agent': 'x'.repeat(4_000) }, { userAgent: 'x'.repeat(400) }],
    ['one without anything to see', { 'user-agent': '\u00a0' }, { userAgent: null }],
    ['an address from a proxy', { 'x-forwarded-for': '203.0.113.9' }, { ip: '203.0.113.9' }],
    ['one with a zone', { 'x-forwarded-for': `fe80::1%${'x'.repeat(300)}` }, { ip: 'fe80::1' }],
    ['no address from a proxy', { 'x-forwarded-for': `nobody${'x'.repeat(4_000)}` }, { ip: '127.0.0.1' }],
  ])('is kept as far as it can be: %s', async (_, headers, kept) => {
    const { status, body } = await login(anna.email, password, headers as unknown as Record<string, string>)
    expect(status).toBe(200)
    expect((await firstOf(`session-${body.sessionId}`)).data).toMatchObject(kept)
  })
})

describe('a header', () => {
  /** What HTTP lets through: bytes beyond ASCII reach us as Latin-1. */
  const values = Object.entries(hostileTexts)
    .map(([what, text]) => [what, Buffer.from(text.slice(0, 4_000)).toString('latin1')] as const)
    // oxlint-disable-next-line no-control-regex -- what a client library refuses to send
    .filter(([, value]) => !/[\x00-\x08\x0a-\x1f\x7f]/.test(value))

  it.each(values)('of %s is judged and never fails', async (_, value) => {
    const create = await service.post('/api/v1/payments', {
      token: anna.token,
      body: aPayment(),
      headers: { 'idempotency-key': value },
    })
    expect([201, 400]).toContain(create.status)
    const id = randomUUID()
    const matched = await service.post(`/api/v1/payments/${id}/process`, {
      token: anna.token,
      headers: { 'if-match': value },
    })
    expect([400, 404]).toContain(matched.status)
    for (const authorization of [value, `Bearer ${value}`, `Bearer ${anna.token}${value}`]) {
      const asked = await service.get('/api/v1/auth/validate', { headers: { authorization } })
      // An empty addition leaves the token as it was.
      expect(asked.status).toBe(authorization.trim() === `Bearer ${anna.token}` ? 200 : 401)
    }
    const traced = await login(anna.email, password, { 'x-correlation-id': value, traceparent: value })
    expect(traced.status).toBe(200)
    expect((await firstOf(`session-${traced.body.sessionId}`)).envelope.correlationId).toMatch(/^[0-9a-f-]{36}$/)
  })
})
