import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeConsistencyToken } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { eventually } from '@annals/platform/testing'
import { createAddressHash } from '../../src/commands/registration'
import { createExecute } from '../../src/execution/execute'
import { grantRoleTo } from '../../src/operator/grant-role'
import { createTestDatabase, silent, type TestDatabase } from '../support/database'
import { startTestGateway, type TestGateway } from '../support/gateway'
import {
  aPayment,
  logIn,
  newPayment,
  somebody,
  startTestService,
  testEnvironment,
  type Environment,
  type Person,
  type TestService,
} from '../support/service'

let database: TestDatabase
let environment: Environment
let gateway: TestGateway
let service: TestService
let log: EventLog
let anna: Person
let berta: Person

beforeAll(async () => {
  database = await createTestDatabase()
  gateway = await startTestGateway()
  environment = testEnvironment({ COMMAND_DATABASE_URL: database.url, GATEWAY_URL: gateway.url })
  service = await startTestService(environment)
  log = createEventLog(environment['EVENTSTORE_URL']!, silent)
  anna = await somebody(service)
  berta = await somebody(service)
})
afterAll(async () => {
  await log?.close()
  await service?.close()
  await gateway?.close()
  await database?.drop()
})

const create = (body: unknown, key: string | undefined = randomUUID(), token = anna.token, through = service) =>
  through.post('/api/v1/payments', { token, body, headers: key === '' ? {} : { 'idempotency-key': key } })
const process = (paymentId: string, headers: Record<string, string> = {}, token = anna.token, through = service) =>
  through.post(`/api/v1/payments/${paymentId}/process`, { token, headers })
const eventsOf = async (paymentId: string) => (await log.readStream(`payment-${paymentId}`)).map(({ type }) => type)
const [created, started, processed, failed, unknown] = [
  'payment.created',
  'payment.process_started',
  'payment.processed',
  'payment.failed',
  'payment.outcome_unknown',
]

describe('creating a payment', () => {
  it('answers 201 with where the fact stands', async () => {
    const { status, body, headers } = await create(aPayment())
    expect([status, body.status]).toEqual([201, 'pending'])
    expect(headers.get('etag')).toBe('"0"')
    expect(headers.get('location')).toBe(`/api/v1/payments/${body.paymentId}`)
    const [event] = await log.readStream(`payment-${body.paymentId}`)
    expect(decodeConsistencyToken(body.consistencyToken)).toEqual({
      stream: `payment-${body.paymentId}`,
      revision: 0,
      log: (await log.identity())!.slice(0, 8),
      position: event!.position,
    })
    expect(event).toMatchObject({
      type: created,
      revision: 0,
      data: { userId: anna.userId, amount: { minor: 1250, currency: 'EUR' }, method: { token: 'tok_visa' } },
      metadata: { actor: { type: 'user', id: anna.userId }, schemaVersion: 2, subject: anna.userId },
    })
    expect(JSON.stringify(event!.data)).not.toContain('tea')
  })

  it('holds amounts of every exponent exactly', async () => {
    for (const [amount, currency, minor] of [
      ['0.10', 'USD', 10],
      ['1200', 'JPY', 1200],
      ['1.005', 'KWD', 1005],
      ['9999999999.99', 'EUR', 999999999999],
      ['100.00', 'JPY', 100],
      ['12.5000', 'EUR', 1250],
    ] as const) {
      const { body } = await create({ ...aPayment(), amount, currency })
      const [event] = await log.readStream(`payment-${body.paymentId}`)
      expect(event!.data).toMatchObject({ amount: { minor, currency } })
    }
  })

  it.each([
    ['nothing', { amount: '0.00' }, 400, 'invalid-request'],
    ['less than nothing', { amount: '-1' }, 400, 'invalid-request'],
    ['a number', { amount: 12.5 }, 400, 'invalid-request'],
    ['a currency that is none', { currency: 'EURO' }, 400, 'invalid-request'],
    ['a card number', { method: { type: 'card', token: '4242424242424242' } }, 400, 'invalid-request'],
    ['cents of a currency without', { amount: '1.5', currency: 'JPY' }, 422, 'amount-not-representable'],
    ['a fortune', { amount: '9999999999999.999', currency: 'KWD' }, 422, 'amount-too-large'],
    ['a fortune of many digits', { amount: '1'.repeat(30) }, 422, 'amount-too-large'],
  ])('refuses %s', async (_, change, wanted, code) => {
    const { status, body } = await create({ ...aPayment(), ...change })
    expect([status, body.code]).toEqual([wanted, code])
  })

  it('says how much a payment may be, in its currency', async () => {
    const { body } = await create({ ...aPayment(), amount: '1000000000', currency: 'KWD' })
    expect(body.detail).toBe('A payment in KWD is at most 999999999.999.')
  })

  it('needs an idempotency key', async () => {
    const { status, body } = await create(aPayment(), '')
    expect([status, body.code]).toEqual([400, 'idempotency-key-required'])
  })

  it('needs an access token', async () => {
    const { status, body } = await service.post('/api/v1/payments', { body: aPayment() })
    expect([status, body.code]).toEqual([401, 'unauthenticated'])
  })

  it('is refused after logout', async () => {
    const { token } = await logIn(service, anna.email)
    await service.post('/api/v1/auth/logout', { token })
    expect((await create(aPayment(), undefined, token)).body.code).toBe('session-ended')
  })
})

describe('an idempotency key', () => {
  it('brings the same answer again, body, token and revision', async () => {
    const key = randomUUID()
    const first = await create(aPayment(), key)
    const second = await create(aPayment(), key)
    expect([second.status, second.body]).toEqual([201, first.body])
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
    expect(await eventsOf(first.body.paymentId)).toEqual([created])
  })

  it('is remembered over a restart, and after the payment has gone on', async () => {
    const key = randomUUID()
    const first = await create(aPayment(), key)
    await process(first.body.paymentId)
    const restarted = await startTestService(environment)
    try {
      const second = await create(aPayment(), key, anna.token, restarted)
      expect([second.status, second.body]).toEqual([201, first.body])
    } finally {
      await restarted.close()
    }
  })

  it('does not depend on the order of the fields', async () => {
    const key = randomUUID()
    const first = await create(aPayment(), key)
    const second = await create(Object.fromEntries(Object.entries(aPayment()).toReversed()), key)
    expect(second.body).toEqual(first.body)
  })

  it.each([
    ['amount', { amount: '12.51' }],
    ['currency', { currency: 'USD' }],
    ['method', { method: { type: 'card', token: 'tok_declined' } }],
    ['description', { description: 'coffee' }],
  ])('belongs to one request: another %s is refused', async (_, change) => {
    const key = randomUUID()
    const first = await create(aPayment(), key)
    const { status, body } = await create({ ...aPayment(), ...change }, key)
    expect([status, body.code]).toEqual([422, 'idempotency-key-reused'])
    expect(await eventsOf(first.body.paymentId)).toEqual([created])
  })

  it('of one person does not meet that of another', async () => {
    const key = randomUUID()
    const [one, two] = await Promise.all([create(aPayment(), key), create(aPayment(), key, berta.token)])
    expect([one.status, two.status]).toEqual([201, 201])
    expect(one.body.paymentId).not.toBe(two.body.paymentId)
  })

  it('makes one payment of requests that come together, to two processes', async () => {
    const other = await startTestService(environment)
    try {
      const key = randomUUID()
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, i) => create(aPayment(), key, anna.token, i % 2 ? service : other)),
      )
      const done = replies.filter(({ status }) => status === 201)
      expect(done.length).toBeGreaterThanOrEqual(1)
      expect(new Set(done.map(({ body }) => JSON.stringify(body))).size).toBe(1)
      for (const { status, body } of replies)
        if (status !== 201) expect([status, body.code]).toEqual([409, 'command-in-progress'])
      expect(await eventsOf(done[0]!.body.paymentId)).toEqual([created])
    } finally {
      await other.close()
    }
  })

  it('lets one of two different requests win when they come together', async () => {
    const key = randomUUID()
    const other = await startTestService(environment)
    try {
      const replies = await Promise.all([
        create(aPayment(), key),
        create({ ...aPayment(), amount: '99.99' }, key, anna.token, other),
      ])
      expect(replies.map(({ status }) => status).toSorted()).toEqual([201, 422])
    } finally {
      await other.close()
    }
  })
})

describe('processing a payment', () => {
  it('completes it, once', async () => {
    const paymentId = await newPayment(service, anna)
    const charges = gateway.charges
    const first = await process(paymentId)
    expect([first.status, first.body.status, first.headers.get('etag')]).toEqual([200, 'completed', '"2"'])
    expect((await process(paymentId)).body).toEqual(first.body)
    expect(await eventsOf(paymentId)).toEqual([created, started, processed])
    expect(gateway.charges - charges).toBe(1)
  })

  it.each([
    ['tok_declined', 'card-declined'],
    ['tok_insufficient_funds', 'insufficient-funds'],
    ['tok_expired', 'card-expired'],
  ])('fails it for good when the gateway refuses (%s)', async (token, failureCode) => {
    const paymentId = await newPayment(service, anna, token)
    const { status, body } = await process(paymentId)
    expect([status, body.status, body.failureCode]).toEqual([200, 'failed', failureCode])
    expect((await process(paymentId)).body.code).toBe('payment-not-processable')
    expect(await eventsOf(paymentId)).toEqual([created, started, failed])
  })

  it('answers a repeat with the same key as it answered first, even a failure', async () => {
    const paymentId = await newPayment(service, anna, 'tok_declined')
    const key = { 'idempotency-key': randomUUID() }
    const first = await process(paymentId, key)
    const second = await process(paymentId, key)
    expect([second.status, second.body]).toEqual([200, first.body])
  })

  it('knows a key for one payment only', async () => {
    const key = { 'idempotency-key': randomUUID() }
    const [one, two] = [await newPayment(service, anna), await newPayment(service, anna)]
    expect((await process(one, key)).body.status).toBe('completed')
    expect((await process(two, key)).body.status).toBe('completed')
    expect(await eventsOf(two)).toEqual([created, started, processed])
  })

  it('charges once when asked many times at the same moment', async () => {
    const paymentId = await newPayment(service, anna)
    const other = await startTestService(environment)
    try {
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, i) => process(paymentId, {}, anna.token, i % 2 ? service : other)),
      )
      for (const { status, body } of replies) expect([status, body.status]).toEqual([200, 'completed'])
      expect(await eventsOf(paymentId)).toEqual([created, started, processed])
    } finally {
      await other.close()
    }
  })

  it("does not find another person's payment", async () => {
    const paymentId = await newPayment(service, anna)
    const { status, body } = await process(paymentId, {}, berta.token)
    expect([status, body.code]).toEqual([404, 'payment-not-found'])
    expect(await eventsOf(paymentId)).toEqual([created])
  })

  it('does not find what is not there, and refuses what is no id', async () => {
    expect((await process(randomUUID())).body.code).toBe('payment-not-found')
    expect((await process('17')).body.code).toBe('invalid-request')
  })

  it('lets an administrator do it, once the operator has made one', async () => {
    const observe = { append: () => undefined, conflict: () => undefined }
    const keys = { sealFor: async () => () => '', openAll: async (parts: readonly unknown[]) => parts.map(() => null) }
    const execute = createExecute({ log, keys, tenant: 'main', observe })
    const addressHash = createAddressHash(Buffer.from(environment['RESERVATION_KEY']!, 'base64'), 'main')
    const clara = await somebody(service)
    const grant = { who: clara.email, role: 'admin', operator: 'root', at: new Date().toISOString() } as const
    expect(await grantRoleTo(execute, addressHash, grant)).toEqual({ userId: clara.userId, granted: true })
    expect(await grantRoleTo(execute, addressHash, { ...grant, who: clara.userId })).toMatchObject({ granted: false })

    const paymentId = await newPayment(service, anna)
    const before = await process(paymentId, {}, clara.token)
    expect(before.status).toBe(404)
    const { token } = await logIn(service, clara.email)
    const { body } = await process(paymentId, {}, token)
    expect(body.status).toBe('completed')
    const [, start] = await log.readStream(`payment-${paymentId}`)
    expect(start).toMatchObject({ data: { userId: anna.userId }, metadata: { actor: { id: clara.userId } } })
  })
})

describe('If-Match', () => {
  it('lets the command through at the revision that it names', async () => {
    const paymentId = await newPayment(service, anna)
    expect((await process(paymentId, { 'if-match': '"0"' })).body.status).toBe('completed')
  })

  it('refuses another revision at once, and changes nothing', async () => {
    const paymentId = await newPayment(service, anna)
    const { status, body } = await process(paymentId, { 'if-match': '"1"' })
    expect([status, body.code]).toEqual([412, 'revision-mismatch'])
    expect(await eventsOf(paymentId)).toEqual([created])
  })

  it('is refused when it is no ETag of ours', async () => {
    const paymentId = await newPayment(service, anna)
    expect((await process(paymentId, { 'if-match': '*' })).status).toBe(400)
  })
})

describe('a gateway that does not answer', () => {
  it.each([
    ['after it charged', 'tok_timeout', 1],
    ['and never charged', 'tok_timeout_not_charged', 2],
    ['but breaks', 'tok_error_500', 2],
  ])('%s leaves the payment unknown until it has proved something', async (_, token, chargesMax) => {
    const paymentId = await newPayment(service, anna, token)
    const charges = gateway.charges
    const first = await process(paymentId)
    expect([first.status, first.body.status]).toEqual([200, 'unknown'])
    expect(await eventsOf(paymentId)).toEqual([created, started, unknown])
    const second = await process(paymentId)
    expect(second.body.status).toBe('completed')
    expect(await eventsOf(paymentId)).toEqual([created, started, unknown, processed])
    expect(gateway.charges - charges).toBe(chargesMax)
  })

  it('is asked anew under the same idempotency key too: unknown is no final answer', async () => {
    const paymentId = await newPayment(service, anna, 'tok_timeout')
    const key = { 'idempotency-key': randomUUID() }
    expect((await process(paymentId, key)).body.status).toBe('unknown')
    expect((await process(paymentId, key)).body.status).toBe('completed')
  })

  it('and then refuses is told again to whoever repeats the command that heard it', async () => {
    const nowhere = await startTestService({ ...environment, GATEWAY_URL: 'http://127.0.0.1:1' })
    const paymentId = await newPayment(nowhere, anna, 'tok_declined')
    expect((await process(paymentId, {}, anna.token, nowhere)).body.status).toBe('unknown')
    await nowhere.close()
    const key = { 'idempotency-key': randomUUID() }
    const first = await process(paymentId, key)
    expect([first.status, first.body.status]).toEqual([200, 'failed'])
    const repeat = await process(paymentId, key)
    expect([repeat.status, repeat.body]).toEqual([200, first.body])
    expect((await process(paymentId)).body.code).toBe('payment-not-processable')
  })

  it('at all never fails a payment', async () => {
    const nowhere = await startTestService({ ...environment, GATEWAY_URL: 'http://127.0.0.1:1' })
    try {
      const paymentId = await newPayment(nowhere, anna)
      for (let i = 0; i < 3; i++)
        expect((await process(paymentId, {}, anna.token, nowhere)).body.status).toBe('unknown')
      expect(await eventsOf(paymentId)).toEqual([created, started, unknown])
      expect((await process(paymentId)).body.status).toBe('completed')
    } finally {
      await nowhere.close()
    }
  })

  it('is asked by its key when a process died between question and answer', async () => {
    const slow = await startTestService({ ...environment, GATEWAY_TIMEOUT_MS: '60000' })
    const paymentId = await newPayment(slow, anna, 'tok_timeout')
    const abandoned = process(paymentId, {}, anna.token, slow).catch(() => undefined)
    await eventually(async () => expect(await eventsOf(paymentId)).toEqual([created, started]))
    // The process that asked is gone as far as this one can tell: the state is "processing" and nobody works on it here.
    const { body } = await eventually(async () => {
      const reply = await process(paymentId)
      expect(reply.body.status).toBe('completed')
      return reply
    })
    expect(body.paymentId).toBe(paymentId)
    expect((await eventsOf(paymentId)).filter((type) => type === processed)).toHaveLength(1)
    gateway.cut()
    await abandoned
    await slow.close()
  })
})

describe('the API around its commands', () => {
  it('says 404 and 405 as problems', async () => {
    const missing = await service.get('/api/v1/nothing')
    expect([missing.status, missing.body.code]).toEqual([404, 'not-found'])
    const method = await service.get('/api/v1/payments')
    expect([method.status, method.body.code, method.headers.get('allow')]).toEqual([405, 'method-not-allowed', 'POST'])
  })

  it('gives back the correlation id that it was given, and makes one otherwise', async () => {
    const { headers, body } = await service.get('/api/v1/nothing', { headers: { 'x-correlation-id': 'abc' } })
    expect([headers.get('x-correlation-id'), body.correlationId]).toEqual(['abc', 'abc'])
    const other = await service.get('/api/v1/nothing', { headers: { 'x-correlation-id': 'with a space' } })
    expect(other.body.correlationId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('counts commands by route and outcome', async () => {
    const { body } = await create(aPayment())
    await process(body.paymentId)
    await create({ ...aPayment(), amount: '-1' })
    const metrics = await service.metrics()
    expect(metrics).toMatch(/commands_total\{route="createPayment",outcome="done",service="command-service"\} [1-9]/)
    expect(metrics).toMatch(/commands_total\{route="createPayment",outcome="invalid-request"/)
    expect(metrics).toMatch(/append_duration_seconds_count\{service="command-service"\} [1-9]/)
    expect(metrics).toMatch(/gateway_answers_total\{outcome="charged"/)
  })
})
