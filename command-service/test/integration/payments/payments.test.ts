import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { decodeConsistencyToken } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { derivedId } from '@annals/platform/ids'
import { eventually, testScope, type TestDatabase } from '@annals/platform/testing'
import { createAddressHash } from '../../../src/accounts/commands/registration'
import { createExecute } from '../../../src/core/execute'
import { grantRoleTo } from '../../../src/operator/grant-role'
import { settlePayment } from '../../../src/operator/settle-payment'
import { chargeFaults } from '../../support/charge-faults'
import { commandDatabase, silent } from '../../support/database'
import { nobodysKeys } from '../../support/keys'
import { startTestPaymentGateway, type TestPaymentGateway } from '../../support/payment-gateway'
import {
  aPayment,
  logIn,
  newPayment,
  somebody,
  startTestService,
  testEnvironment,
  type Environment,
  type Person,
  type Reply,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
let database: TestDatabase
let environment: Environment
let paymentGateway: TestPaymentGateway
let service: TestService
let log: EventLog
let anna: Person
let berta: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  paymentGateway = await startTestPaymentGateway(scope)
  environment = testEnvironment({ COMMAND_DATABASE_URL: database.url, PAYMENT_GATEWAY_URL: paymentGateway.url })
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  anna = await somebody(service)
  berta = await somebody(service)
})

const create = (body: unknown, key: string | undefined = randomUUID(), token = anna.token, through = service) =>
  through.post('/api/v1/payments', { token, body, headers: key === '' ? {} : { 'idempotency-key': key } })
const process = (paymentId: string, headers: Record<string, string> = {}, token = anna.token, through = service) =>
  through.post(`/api/v1/payments/${paymentId}/process`, { token, headers })
const streamOf = (paymentId: string) => log.readStream(`payment-${paymentId}`)
const eventsOf = async (paymentId: string) => (await streamOf(paymentId)).map(({ type }) => type)
/** All of an answer but what is new in each: the time, the names of the request, and what is left of its limits. */
const comparable = ({ status, headers, body }: Reply) => ({
  status,
  body: { ...body, correlationId: null, instance: null },
  headers: Object.fromEntries(
    [...headers].filter(([name]) => !['date', 'x-correlation-id', 'ratelimit'].includes(name)),
  ),
})
/** A payment whose amount no other has: by it the payment gateway's charges are found, whatever key they were asked under. */
let cents = 1_000_000
async function ownPayment(token = 'tok_visa', through = service) {
  const minor = ++cents
  const { body } = await create(
    { ...aPayment(token), amount: (minor / 100).toFixed(2) },
    undefined,
    anna.token,
    through,
  )
  const paymentId: string = body.paymentId
  return { paymentId, taken: () => paymentGateway.charges().filter(({ amountMinor }) => amountMinor === minor) }
}
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
    [
      'a card number behind the form of a token',
      { method: { type: 'card', token: 'tok_4242424242424242' } },
      400,
      'invalid-request',
    ],
    ['a card number in the description', { description: 'from 4242-4242-4242-4242' }, 400, 'invalid-request'],
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
    const restarted = await startTestService(scope, environment)
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
    const other = await startTestService(scope, environment)
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
    const other = await startTestService(scope, environment)
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
    const { paymentId, taken } = await ownPayment()
    const asked = paymentGateway.asked
    const first = await process(paymentId)
    expect([first.status, first.body.status, first.headers.get('etag')]).toEqual([200, 'completed', '"2"'])
    expect((await process(paymentId)).body).toEqual(first.body)
    expect(await eventsOf(paymentId)).toEqual([created, started, processed])
    expect(paymentGateway.asked - asked).toBe(1)
    expect(taken()).toHaveLength(1)
  })

  it.each([
    ['tok_declined', 'card-declined'],
    ['tok_insufficient_funds', 'insufficient-funds'],
    ['tok_expired', 'card-expired'],
  ])('fails it for good when the payment gateway refuses (%s)', async (token, failureCode) => {
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
    const { paymentId, taken } = await ownPayment()
    const other = await startTestService(scope, environment)
    try {
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, i) => process(paymentId, {}, anna.token, i % 2 ? service : other)),
      )
      for (const { status, body } of replies) expect([status, body.status]).toEqual([200, 'completed'])
      expect(await eventsOf(paymentId)).toEqual([created, started, processed])
      expect(taken()).toHaveLength(1)
      expect(chargeFaults([await streamOf(paymentId)], taken())).toEqual([])
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
    const execute = createExecute({ log, keys: nobodysKeys, tenant: 'main', observe })
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

  it("says of another person's payment what it says of none, whatever it names", async () => {
    const paymentId = await newPayment(service, anna)
    await process(paymentId)
    for (const headers of [{}, { 'if-match': '"0"' }, { 'if-match': '"2"' }, { 'if-match': '"7"' }]) {
      const ofNone = await process(randomUUID(), headers, berta.token)
      const ofAnother = await process(paymentId, headers, berta.token)
      expect(comparable(ofAnother)).toEqual(comparable(ofNone))
      expect([ofAnother.status, ofAnother.body.code]).toEqual([404, 'payment-not-found'])
    }
  })

  it('comes after the rules: what is refused anyway is refused for its reason', async () => {
    const paymentId = await newPayment(service, anna, 'tok_declined')
    await process(paymentId)
    const { status, body } = await process(paymentId, { 'if-match': '"0"' })
    expect([status, body.code]).toEqual([409, 'payment-not-processable'])
  })

  it('is refused when it is no ETag of ours', async () => {
    const paymentId = await newPayment(service, anna)
    expect((await process(paymentId, { 'if-match': '*' })).status).toBe(400)
  })
})

describe('a payment gateway that does not answer', () => {
  it.each([
    ['after it charged', 'tok_timeout', 1, 1],
    ['and never charged', 'tok_timeout_not_charged', 2, 0],
    ['but breaks', 'tok_error_500', 2, 0],
  ])('%s leaves the payment unknown until it has proved something', async (_, token, askedMax, takenFirst) => {
    const { paymentId, taken } = await ownPayment(token)
    const asked = paymentGateway.asked
    const first = await process(paymentId)
    expect([first.status, first.body.status]).toEqual([200, 'unknown'])
    expect(await eventsOf(paymentId)).toEqual([created, started, unknown])
    expect(taken()).toHaveLength(takenFirst)
    const second = await process(paymentId)
    expect(second.body.status).toBe('completed')
    expect(await eventsOf(paymentId)).toEqual([created, started, unknown, processed])
    expect(paymentGateway.asked - asked).toBe(askedMax)
    expect(chargeFaults([await streamOf(paymentId)], taken())).toEqual([])
  })

  it('is asked anew under the same idempotency key too: unknown is no final answer', async () => {
    const paymentId = await newPayment(service, anna, 'tok_timeout')
    const key = { 'idempotency-key': randomUUID() }
    expect((await process(paymentId, key)).body.status).toBe('unknown')
    expect((await process(paymentId, key)).body.status).toBe('completed')
  })

  it('and then refuses is told again to whoever repeats the command that heard it', async () => {
    const nowhere = await startTestService(scope, { ...environment, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
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
    const nowhere = await startTestService(scope, { ...environment, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
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
    const slow = await startTestService(scope, { ...environment, PAYMENT_GATEWAY_TIMEOUT_MS: '60000' })
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
    paymentGateway.cut()
    await abandoned
    await slow.close()
  })
})

describe('answers that are lost, and commands that are repeated', () => {
  /** Final after how many rounds at most; nine of ten rounds settle half of what is left. */
  const roundsMax = 40

  it('charge each payment once, over two processes, as the payment gateway itself has it', async () => {
    const other = await startTestService(scope, environment)
    const tokens = ['tok_visa', 'tok_visa', 'tok_declined', 'tok_timeout', 'tok_timeout_not_charged', 'tok_error_500']
    const made = await Promise.all(Array.from({ length: 24 }, (_, i) => ownPayment(tokens[i % tokens.length])))
    const open = new Set(made.map(({ paymentId }) => paymentId))
    paymentGateway.losses.request = () => Math.random() < 0.2
    paymentGateway.losses.answer = () => Math.random() < 0.3
    try {
      for (let round = 0; open.size > 0 && round < roundsMax; round++) {
        const asked = [...open].flatMap((paymentId) =>
          [service, other, service].map(async (through) => {
            const { status, body } = await process(paymentId, {}, anna.token, through)
            const isFinal = ['completed', 'failed'].includes(body.status) || body.code === 'payment-not-processable'
            if (isFinal) open.delete(paymentId)
            else expect([status, body.status ?? body.code]).toEqual([200, 'unknown'])
          }),
        )
        await Promise.all(asked)
      }
    } finally {
      paymentGateway.losses.request = () => false
      paymentGateway.losses.answer = () => false
      await other.close()
    }
    expect([...open]).toEqual([])
    const streams = await Promise.all(made.map(({ paymentId }) => streamOf(paymentId)))
    const taken = made.flatMap((payment) => payment.taken())
    expect(chargeFaults(streams, taken)).toEqual([])
    const ends = streams.map((events) => events.at(-1)!.type).toSorted()
    expect(ends).toEqual([...Array(4).fill(failed), ...Array(20).fill(processed)].toSorted())
    expect(taken).toHaveLength(20)
  }, 240_000)

  it('are found when they did charge twice, not at all, or another sum', async () => {
    const { paymentId, taken } = await ownPayment()
    await process(paymentId)
    const stream = await streamOf(paymentId)
    const [charge] = taken()
    expect(chargeFaults([stream], [charge!])).toEqual([])
    // What a service that made up a new key for each call would do, to the payment gateway itself.
    const body = JSON.stringify({ amountMinor: charge!.amountMinor, currency: 'EUR', source: 'tok_visa' })
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
    expect((await fetch(new URL('/v1/charges', paymentGateway.url), { method: 'POST', body, headers })).status).toBe(
      200,
    )
    expect(taken()).toHaveLength(2)
    expect(chargeFaults([stream], taken())).toEqual([expect.stringMatching(/belongs to no payment/)])
    expect(chargeFaults([stream], [charge!, charge!])).toEqual([expect.stringMatching(/charged 2 times/)])
    expect(chargeFaults([stream], [])).toEqual([expect.stringMatching(/never charged/)])
    expect(chargeFaults([stream], [{ ...charge!, amountMinor: 1 }])).toEqual([expect.stringMatching(/another sum/)])
  })
})

describe('an attempt that the payment gateway may have forgotten', () => {
  /** A payment whose attempt was begun some time ago by a process that died; what became of it is the payment gateway's to know. */
  async function begunAgo(ms: number) {
    const payment = await ownPayment()
    const { paymentId } = payment
    const [first] = await streamOf(paymentId)
    const gatewayKey = derivedId('charge', 'main', paymentId, 1)
    const data = { paymentId, userId: anna.userId, attempt: 1, gatewayKey }
    const occurredAt = new Date(Date.now() - ms).toISOString()
    const { subject: _, ...envelope } = first!.metadata as Record<string, unknown>
    const metadata = { ...envelope, schemaVersion: 1, commandId: randomUUID(), fingerprint: undefined, occurredAt }
    await log.append(`payment-${paymentId}`, [{ id: randomUUID(), type: started, data, metadata }], 0)
    return { ...payment, gatewayKey }
  }
  const keyMs = 23 * 3_600_000
  /** As that process asked for it. */
  async function chargeAsBefore(gatewayKey: string, cents: number) {
    const body = JSON.stringify({ amountMinor: cents, currency: 'EUR', source: 'tok_visa' })
    const headers = { 'content-type': 'application/json', 'idempotency-key': gatewayKey }
    await fetch(new URL('/v1/charges', paymentGateway.url), { method: 'POST', body, headers })
  }

  it('is charged under its key while the payment gateway would know it', async () => {
    const { paymentId, taken } = await begunAgo(keyMs - 60_000)
    expect((await process(paymentId)).body.status).toBe('completed')
    expect(taken()).toHaveLength(1)
  })

  it('is never charged again afterwards: it stays unknown, and that is counted', async () => {
    const { paymentId, taken, gatewayKey } = await begunAgo(keyMs)
    await chargeAsBefore(gatewayKey, cents)
    expect(taken()).toHaveLength(1)
    paymentGateway.forgetKeys()
    for (let i = 0; i < 3; i++) expect((await process(paymentId)).body.status).toBe('unknown')
    expect(await eventsOf(paymentId)).toEqual([created, started, unknown])
    expect(taken()).toHaveLength(1)
    expect(await service.metrics()).toMatch(
      /annals_command_payment_gateway_answers_total\{outcome="forgotten",service="command-service"\} 3/,
    )
  })

  it('is completed all the same when the payment gateway does know it', async () => {
    const { paymentId, taken, gatewayKey } = await begunAgo(keyMs + 3_600_000)
    await chargeAsBefore(gatewayKey, cents)
    expect((await process(paymentId)).body.status).toBe('completed')
    expect(taken()).toHaveLength(1)
  })

  it('is settled by an operator who has looked it up', async () => {
    const { paymentId } = await begunAgo(keyMs)
    expect((await process(paymentId)).body.status).toBe('unknown')
    const execute = createExecute({
      log,
      keys: nobodysKeys,
      tenant: 'main',
      observe: { append: () => undefined, conflict: () => undefined },
    })
    const by = { operator: 'root', at: new Date().toISOString() }
    const proof = { outcome: 'charged', reference: 'ch_seen' } as const
    expect(await settlePayment(execute, { paymentId, proof, ...by })).toEqual({ status: 'completed', settled: true })
    expect(await settlePayment(execute, { paymentId, proof, ...by })).toEqual({ status: 'completed', settled: false })
    expect((await process(paymentId)).body.status).toBe('completed')
    expect((await streamOf(paymentId)).at(-1)).toMatchObject({
      type: processed,
      data: { gatewayReference: 'ch_seen' },
      metadata: { actor: { type: 'operator', id: 'root' } },
    })
    const untouched = await ownPayment()
    await expect(settlePayment(execute, { paymentId: untouched.paymentId, proof, ...by })).rejects.toThrow(
      'payment-not-processable',
    )
  })
})

describe('the API around its commands', () => {
  it('says 404 and 405 as problems', async () => {
    const missing = await service.get('/api/v1/nothing')
    expect([missing.status, missing.body.code]).toEqual([404, 'not-found'])
    const method = await service.get('/api/v1/payments')
    expect([method.status, method.body.code, method.headers.get('allow')]).toEqual([
      405,
      'method-not-allowed',
      'POST, OPTIONS',
    ])
  })

  it('gives back the correlation id that it was given, and makes one otherwise', async () => {
    const id = randomUUID()
    const { headers, body } = await service.get('/api/v1/nothing', { headers: { 'x-correlation-id': id } })
    expect([headers.get('x-correlation-id'), body.correlationId]).toEqual([id, id])
    const other = await service.get('/api/v1/nothing', { headers: { 'x-correlation-id': 'ada@example.org' } })
    expect(other.body.correlationId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('counts commands by route and outcome', async () => {
    const { body } = await create(aPayment())
    await process(body.paymentId)
    await create({ ...aPayment(), amount: '-1' })
    const metrics = await service.metrics()
    expect(metrics).toMatch(
      /annals_api_answers_total\{operation="createPayment",outcome="done",service="command-service"\} [1-9]/,
    )
    expect(metrics).toMatch(/annals_api_answers_total\{operation="createPayment",outcome="invalid-request"/)
    expect(metrics).toMatch(/annals_command_append_seconds_count\{service="command-service"\} [1-9]/)
    expect(metrics).toMatch(/annals_command_payment_gateway_answers_total\{outcome="charged"/)
  })
})
