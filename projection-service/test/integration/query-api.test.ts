import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  PaymentEventsResponse,
  PaymentPage,
  PaymentResponse,
  PaymentStatsResponse,
  UserResponse,
  encodeConsistencyToken,
  type EventType,
} from '@annals/contracts'
import { createRedis } from '@annals/platform/redis'
import { createRevocationMarks, revocationMarkMs } from '@annals/platform/revocation'
import { eventually, requireEnv, testScope, type TestDatabase } from '@annals/platform/testing'
import { payments, projections, userLogins, users } from '../../src/projections'
import { consistencyTokenOf, startTestApi, type TestApi } from '../support/api'
import { projectionDatabase, silent } from '../support/database'
import { aPayment, paymentFacts, recorded } from '../support/facts'
import { createReadModels } from '../support/read-models'

const alice = randomUUID()
const bob = randomUUID()
const root = randomUUID()
const aliceSession = randomUUID()

const account = (userId: string, email: string, position: bigint, at: string, roles = ['user']) =>
  recorded(
    'user.registered',
    `user-${userId}`,
    0,
    position,
    { userId, email, name: 'A Person', locale: 'en', roles, credentialId: randomUUID(), emailProved: false },
    at,
  )

const login = (userId: string, sessionId: string, position: bigint, at: string) =>
  recorded(
    'user.login',
    `session-${sessionId}`,
    0,
    position,
    {
      sessionId,
      userId,
      methods: ['password'],
      epoch: 1,
      ip: null,
      userAgent: null,
      expiresAt: '2026-12-01T00:00:00.000Z',
    },
    at,
  )

const scope = testScope('file')
let database: TestDatabase
let api: TestApi
let feed: Awaited<ReturnType<typeof createReadModels>>['feed']
let asAlice: string
let asBob: string
let asRoot: string
const alicePayment = aPayment({ userId: alice })
const bobPayments = Array.from({ length: 5 }, () => aPayment({ userId: bob, amount: { minor: 999, currency: 'USD' } }))
// A numbered database of its own: it is emptied here.
const redis = createRedis(`${requireEnv('REDIS_URL')}/11`, silent)
const marks = createRevocationMarks({
  redis,
  log: silent,
  markMs: revocationMarkMs(900),
  onSkipped: () => undefined,
})

beforeAll(async () => {
  scope.onEnd(() => redis.disconnect())
  scope.onEnd(() => marks.close())
  database = await scope.database(projectionDatabase)
  ;({ feed } = await createReadModels(database.pool, projections))
  await feed([
    account(alice, 'alice@example.org', 1n, '2026-03-01T08:00:00.000Z'),
    account(bob, 'bob@example.org', 2n, '2026-03-01T09:00:00.000Z'),
    account(root, 'root@example.org', 3n, '2026-03-01T09:30:00.000Z', ['user', 'admin']),
    login(alice, aliceSession, 4n, '2026-03-02T08:00:00.000Z'),
    login(alice, randomUUID(), 5n, '2026-03-01T23:00:00.000Z'),
    ...paymentFacts(alicePayment, 10n),
    ...bobPayments.flatMap((payment, i) => paymentFacts(payment, BigInt(20 + 3 * i))),
  ])
  api = await startTestApi(scope, {
    pool: database.pool,
    marks,
    waitMs: 1_000,
  })
  asAlice = await api.tokenFor(alice, { sessionId: aliceSession })
  asBob = await api.tokenFor(bob)
  asRoot = await api.tokenFor(root, { roles: ['user', 'admin'] })
})

describe('who asks', () => {
  it.each([
    ['no token', undefined],
    ['a text that is no token', 'nonsense'],
  ])('is refused with %s', async (_, token) => {
    const { status, body, headers } = await api.get('/users/me', token ? { token } : {})
    expect({ status, code: body['code'] }).toEqual({ status: 401, code: 'unauthenticated' })
    expect(headers.get('www-authenticate')).toBe('Bearer')
  })

  it.each([
    ['another audience', { audience: 'other' }],
    ['a token that has expired', { expiresIn: '-1m' }],
    ['a token of another kind', { typ: 'JWT' }],
  ])('is refused with %s', async (_, options) => {
    const token = await api.tokenFor(alice, options)
    expect((await api.get('/users/me', { token })).status).toBe(401)
  })

  it('is refused when another key signed', async () => {
    const other = await startTestApi(scope, { pool: database.pool })
    const token = await other.tokenFor(alice)
    expect((await api.get('/users/me', { token })).status).toBe(401)
  })

  it('is refused once the session was ended', async () => {
    const sessionId = randomUUID()
    const token = await api.tokenFor(alice, { sessionId })
    expect((await api.get('/users/me', { token })).status).toBe(200)
    await marks.settle({ about: 'session', id: sessionId, at: Date.now() }, 'end')
    expect(await api.get('/users/me', { token })).toMatchObject({ status: 401, body: { code: 'session-ended' } })
  })

  it('is refused after the session was ended although Redis has forgotten it: what people did tells', async () => {
    const sessionId = randomUUID()
    const token = await api.tokenFor(bob, { sessionId })
    await feed([
      login(bob, sessionId, 900n, new Date().toISOString()),
      recorded(
        'session.ended',
        `session-${sessionId}`,
        1,
        901n,
        { sessionId, userId: bob, reason: 'logout' },
        new Date().toISOString(),
      ),
    ])
    await marks.settle({ about: 'session', id: sessionId, at: Date.now() }, 'end')
    await redis.flushdb()
    expect(await api.get('/users/me', { token })).toMatchObject({ status: 401, body: { code: 'session-ended' } })
    // Another session of the same person goes on.
    expect((await api.get('/users/me', { token: asBob })).status).toBe(200)
  })

  it('is looked up in the read models, and counted, while Redis does not answer', async () => {
    const deaf = await startTestApi(scope, { pool: database.pool, marks: { ask: async () => 'unknown' } })
    expect((await deaf.get('/users/me', { token: await deaf.tokenFor(alice) })).status).toBe(200)
    expect(deaf.revocationsUnknown()).toBe(1)
  })

  it('is not let in while neither Redis nor the read model of what people did can tell', async () => {
    const empty = await scope.database(projectionDatabase)
    const blind = await startTestApi(scope, { pool: empty.pool, marks: { ask: async () => 'unknown' } })
    expect((await blind.get('/users/me', { token: await blind.tokenFor(alice) })).status).toBe(503)
  })
})

describe('accounts', () => {
  it('shows one’s own, with logins of all sessions added up', async () => {
    const { status, body } = await api.get('/users/me', { token: asAlice })
    expect(status).toBe(200)
    expect(UserResponse.parse(body)).toMatchObject({
      userId: alice,
      email: 'alice@example.org',
      loginCount: 2,
      lastLoginAt: '2026-03-02T08:00:00.000Z',
      // Its partition's position; others may share the partition.
      freshness: { position: expect.stringMatching(/^[1-3]$/) },
    })
  })

  it('hides others’ as if they were not there', async () => {
    const other = await api.get(`/users/${alice}`, { token: asBob })
    const nobody = await api.get(`/users/${randomUUID()}`, { token: asBob })
    for (const { status, body } of [other, nobody]) {
      expect({ status, code: body['code'] }).toEqual({ status: 404, code: 'user-not-found' })
    }
    expect((await api.get(`/users/${alice}`, { token: asRoot })).body['userId']).toBe(alice)
  })

  it('lists them to administrators only, page by page', async () => {
    expect(await api.get('/users', { token: asAlice })).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    const first = await api.get('/users?limit=2', { token: asRoot })
    expect(first.body.items.map((item) => item['userId'])).toEqual([root, bob])
    const rest = await api.get(`/users?limit=2&cursor=${first.body.nextCursor}`, { token: asRoot })
    expect(rest.body).toMatchObject({ items: [{ userId: alice, loginCount: 2 }], nextCursor: null })
    const found = await api.get('/users?email=Alice%40Example.org', { token: asRoot })
    expect(found.body.items.map((item) => item['userId'])).toEqual([alice])
  })

  it('shows what was done in one’s name, newest first', async () => {
    const { body } = await api.get('/users/me/activity?limit=3', { token: asAlice })
    expect(body.items.map(({ type, about }) => [type, about])).toEqual([
      ['user.login', aliceSession],
      ['user.login', expect.any(String)],
      [expect.stringMatching(/^payment\./), alicePayment.paymentId],
    ])
    const rest = await api.get(`/users/me/activity?cursor=${body.nextCursor}`, { token: asAlice })
    expect(rest.body.items.map(({ type }) => type)).toContain('user.registered')
    expect(rest.body.items).toHaveLength(2)
  })
})

describe('payments', () => {
  it('shows one’s own as a decimal amount', async () => {
    const { body } = await api.get(`/payments/${alicePayment.paymentId}`, { token: asAlice })
    expect(PaymentResponse.parse(body)).toMatchObject({
      amount: '12.50',
      currency: 'EUR',
      status: 'completed',
      gatewayReference: 'ref',
      attempts: 1,
      revision: 2,
      freshness: { position: expect.stringMatching(/^\d+$/) },
    })
  })

  it.each(['', '/events'])('hides others’ as if they were not there: /payments/:id%s', async (suffix) => {
    const other = await api.get(`/payments/${alicePayment.paymentId}${suffix}`, { token: asBob })
    expect(other).toMatchObject({ status: 404, body: { code: 'payment-not-found' } })
    expect((await api.get(`/payments/${alicePayment.paymentId}${suffix}`, { token: asRoot })).status).toBe(200)
  })

  it('pages through all of one’s own, each once, and never shows others’', async () => {
    const seen: unknown[] = []
    let path = '/payments?limit=2'
    for (let pages = 0; pages < 5; pages++) {
      const page = PaymentPage.parse((await api.get(path, { token: asBob })).body)
      seen.push(...page.items.map(({ paymentId }) => paymentId))
      if (!page.nextCursor) break
      path = `/payments?limit=2&cursor=${page.nextCursor}`
    }
    expect(seen.toSorted()).toEqual(bobPayments.map(({ paymentId }) => paymentId).toSorted())
    expect((await api.get(`/payments?userId=${alice}`, { token: asBob })).body.items).toEqual([])
  })

  it('filters', async () => {
    const count = async (query: string) => (await api.get(`/payments?${query}`, { token: asRoot })).body.items.length
    expect(await count('currency=USD')).toBe(5)
    expect(await count(`userId=${alice}&status=completed`)).toBe(1)
    expect(await count('status=failed')).toBe(0)
    expect(await count('createdFrom=2026-03-01T10:00:00.000Z&createdBefore=2026-03-01T10:00:00.001Z')).toBe(6)
    expect(await count('createdBefore=2026-03-01T10:00:00.000Z')).toBe(0)
  })

  it('refuses a cursor of another list, of other filters, or of nobody', async () => {
    const { body } = await api.get('/payments?limit=2', { token: asBob })
    for (const path of [
      `/payments?limit=2&currency=USD&cursor=${body.nextCursor}`,
      `/users/me/activity?cursor=${body.nextCursor}`,
      '/payments?cursor=e30',
    ]) {
      expect(await api.get(path, { token: asBob })).toMatchObject({ status: 400, body: { code: 'invalid-cursor' } })
    }
    const other = await api.get(`/payments?limit=2&cursor=${body.nextCursor}`, { token: asAlice })
    expect(other.body['code']).toBe('invalid-cursor')
  })

  it.each([
    ['createdFrom=2026-03-01T12:00:00%2B02:00&createdBefore=2026-03-01T12:00:00.001%2B02:00', 6],
    ['createdFrom=0001-01-01T00:00:00Z&createdBefore=9999-12-31T23:59:59.999Z', 6],
    ['createdFrom=9999-12-31T00:00:00Z', 0],
    ['createdBefore=0050-01-01T00:00:00Z', 0],
  ])('knows times by any offset and of any year that there is: %s', async (query, count) => {
    const { status, body } = await api.get(`/payments?limit=100&${query}`, { token: asRoot })
    expect([status, body.items?.length]).toEqual([200, count])
  })

  it.each([
    'createdFrom=0000-01-01T00:00:00Z',
    'createdBefore=0000-12-31T23:59:59Z',
    'createdFrom=0001-01-01T00:00:00%2B12:00',
    'createdFrom=%2B010000-01-01T00:00:00Z',
    'createdFrom=2026-02-30T00:00:00Z',
    'createdFrom=2026-03-01T12:00:00+02:00',
    'createdFrom=%00',
    'createdFrom=infinity',
    'limit=0x10',
    'limit=1e1',
    'limit=%205',
    'limit=5%00',
    'limit=',
    'limit=1&limit=2',
    'status=%00',
    'currency=%00',
    'userId=%00',
  ])('refuses %s', async (query) => {
    const { status, body } = await api.get(`/payments?${query}`, { token: asRoot })
    expect([status, body['code']]).toEqual([400, 'invalid-request'])
  })

  it('refuses a cursor of a year that there is not', async () => {
    const { body } = await api.get('/payments?limit=2', { token: asBob })
    const content = JSON.parse(Buffer.from(body.nextCursor!, 'base64url').toString())
    for (const at of ['0000-01-01T00:00:00.000Z', '2026-02-30T00:00:00.000Z', '\u0000', '\ud800']) {
      const cursor = Buffer.from(JSON.stringify({ ...content, at })).toString('base64url')
      const answer = await api.get(`/payments?limit=2&cursor=${cursor}`, { token: asBob })
      expect([answer.status, answer.body['code']]).toEqual([400, 'invalid-cursor'])
    }
  })

  it.each(['limit=0', 'limit=101', 'status=lost', 'userId=1', 'surprise=1'])('refuses %s', async (query) => {
    expect(await api.get(`/payments?${query}`, { token: asBob })).toMatchObject({
      status: 400,
      body: { code: 'invalid-request' },
    })
  })

  it('tells a payment’s history in order, without what is the payment gateway’s or personal', async () => {
    const { body } = await api.get(`/payments/${alicePayment.paymentId}/events`, { token: asAlice })
    const { items } = PaymentEventsResponse.parse(body)
    expect(items.map(({ type, revision }) => [type, revision])).toEqual([
      ['payment.created', 0],
      ['payment.process_started', 1],
      ['payment.processed', 2],
    ])
    expect(JSON.stringify(items)).not.toMatch(/gatewayKey|tok_visa|description/)
  })
})

describe('statistics', () => {
  it('adds up per day and currency, for administrators', async () => {
    expect((await api.get('/stats/payments', { token: asAlice })).status).toBe(403)
    const { body } = await api.get('/stats/payments?from=2026-02-20&to=2026-03-05', { token: asRoot })
    expect(PaymentStatsResponse.parse(body).items).toEqual([
      expect.objectContaining({ day: '2026-03-01', currency: 'EUR', completedCount: 1, completedAmount: '12.50' }),
      expect.objectContaining({
        day: '2026-03-01',
        currency: 'USD',
        createdCount: 5,
        createdAmount: '49.95',
        failedCount: 0,
      }),
    ])
  })

  it.each(['from=2026-03-02&to=2026-03-01', 'from=2020-01-01&to=2026-03-01'])('refuses %s', async (query) => {
    expect((await api.get(`/stats/payments?${query}`, { token: asRoot })).status).toBe(400)
  })
})

describe('consistency', () => {
  const alicePoint = { stream: alicePayment.stream, revision: 2, position: 12n }

  it('waits for what the token names, and answers with it', async () => {
    const payment = aPayment({ userId: alice })
    const facts = paymentFacts(payment, 1_000n)
    const consistency = consistencyTokenOf({ stream: payment.stream, revision: 2, position: 1_002n })
    const answer = api.get(`/payments/${payment.paymentId}`, { token: asAlice, consistency })
    await feed(facts)
    expect((await answer).body).toMatchObject({ status: 'completed' })
  })

  it('waits for events of different topics at the same time, each in the read models that are fed from its own', async () => {
    const payment = aPayment({ userId: alice })
    const sessionId = randomUUID()
    const [ofPayment, ofSession] = [
      consistencyTokenOf({ stream: payment.stream, revision: 2, position: 1_102n }),
      consistencyTokenOf({ stream: `session-${sessionId}`, revision: 0, position: 1_110n }),
    ]
    const answers = Promise.all([
      api.get(`/payments/${payment.paymentId}`, { token: asAlice, consistency: ofPayment }),
      // `users` is not fed from sessions, the logins beside it are.
      api.get('/users/me', { token: asAlice, consistency: ofSession }),
      api.get('/payments', { token: asAlice, consistency: ofPayment }),
    ])
    await new Promise((resolve) => setTimeout(resolve, 50))
    await feed([...paymentFacts(payment, 1_100n), login(alice, sessionId, 1_110n, new Date().toISOString())])
    expect((await answers).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  it('answers 503 with Retry-After when it takes too long', async () => {
    const consistency = consistencyTokenOf({ stream: alicePayment.stream, revision: 3, position: 1_000_000n })
    const began = Date.now()
    const { status, body, headers } = await api.get('/payments', { token: asAlice, consistency })
    expect({ status, code: body['code'] }).toEqual({ status: 503, code: 'read-model-behind' })
    expect(headers.get('retry-after')).toBe('1')
    expect(Date.now() - began).toBeGreaterThanOrEqual(1_000)
  })

  it('never takes a fact for seen because others at higher positions were: a log that was set back gives positions again', async () => {
    const { stream, paymentId } = aPayment({ userId: alice })
    const consistency = consistencyTokenOf({ stream, revision: 0, position: 1n })
    const { status, body } = await api.get(`/payments/${paymentId}`, { token: asAlice, consistency })
    expect({ status, code: body['code'] }).toEqual({ status: 503, code: 'read-model-behind' })
  })

  it('still understands a token of the former release, which names a position only', async () => {
    const tokenAt = (position: bigint) => consistencyTokenOf({ stream: alicePayment.stream, position })
    expect((await api.get('/payments', { token: asAlice, consistency: tokenAt(12n) })).status).toBe(200)
    expect((await api.get('/payments', { token: asAlice, consistency: tokenAt(1_000_000n) })).status).toBe(503)
  })

  it('keeps nobody from an answer because another read model is not there', async () => {
    const own = await scope.database(projectionDatabase)
    const world = await createReadModels(own.pool, [users, userLogins, payments])
    const payment = aPayment({ userId: alice })
    const half = await startTestApi(scope, { pool: own.pool, waitMs: 2_000 })
    const token = await half.tokenFor(alice)
    const consistency = consistencyTokenOf({ stream: payment.stream, revision: 2, position: 12n })
    const waiting = half.get(`/payments/${payment.paymentId}`, { token, consistency })
    const events = await half.get(`/payments/${payment.paymentId}/events`, { token, consistency })
    expect(events).toMatchObject({ status: 503, body: { code: 'read-model-rebuilding' } })
    await world.feed(paymentFacts(payment, 10n))
    expect((await waiting).status).toBe(200)
  })

  it('does not wait for a stream that the route has nothing from', async () => {
    const consistency = consistencyTokenOf({ stream: `session-${randomUUID()}`, revision: 0, position: 1_000_000n })
    expect((await api.get('/payments', { token: asAlice, consistency })).status).toBe(200)
  })

  it('refuses a token that the command API has not signed, before it is waited for', async () => {
    const forged = encodeConsistencyToken({ stream: alicePayment.stream, revision: 999, position: 1_000_000n })
    for (const consistency of [forged, `${forged}.${'A'.repeat(22)}`])
      expect(await api.get('/payments', { token: asAlice, consistency })).toMatchObject({
        status: 400,
        body: { code: 'invalid-consistency-token' },
      })
  })

  it('lets one person wait for twenty things at a time, and others beside', async () => {
    const patient = await startTestApi(scope, { pool: database.pool, waitMs: 4_000 })
    const [mine, others] = [await patient.tokenFor(alice), await patient.tokenFor(bob)]
    const consistency = consistencyTokenOf({ stream: alicePayment.stream, revision: 999, position: 1_000_000n })
    const asked = Array.from({ length: 30 }, () => patient.get('/payments', { token: mine, consistency }))
    const other = await patient.get('/payments', { token: others, consistency: consistencyTokenOf(alicePoint) })
    expect(other.status).toBe(200)
    const codes = (await Promise.all(asked)).map(({ body }) => body['code'])
    expect(codes.filter((code) => code === 'read-model-behind')).toHaveLength(20)
    expect(codes.filter((code) => code === 'overloaded')).toHaveLength(10)
    // And again, when those have ended.
    expect((await patient.get('/payments', { token: mine, consistency })).body['code']).toBe('read-model-behind')
  })

  it('refuses a token that is none', async () => {
    expect(await api.get('/payments', { token: asAlice, consistency: 'nonsense' })).toMatchObject({
      status: 400,
      body: { code: 'invalid-consistency-token' },
    })
  })
})

describe('a stream that stands still at an event which could not be applied', () => {
  const parked = aPayment({ userId: alice })
  const path = `/payments/${parked.paymentId}`

  beforeAll(async () => {
    const [created, ...rest] = paymentFacts(parked, 2_000n)
    const unreadable = { ...created!, data: { ...(created!.data as object), amount: 'much' } }
    await feed([unreadable, ...rest])
  })

  it.each([path, `${path}/events`])('is said to be parked, with its place: GET %s', async (url) => {
    const { status, body, headers } = await api.get(url, { token: asAlice })
    expect({ status, code: body['code'] }).toEqual({ status: 503, code: 'read-model-parked' })
    expect(body['detail']).toMatch(/^Event 0 of this \(payment\.created\) could not be applied to payment/)
    expect(body['detail']).not.toContain('much')
    expect(headers.get('retry-after')).toBe('60')
  })

  it('is said to be parked to who comes with a token, at once', async () => {
    const consistency = consistencyTokenOf({ stream: parked.stream, revision: 2, position: 2_002n })
    for (const url of [path, '/payments']) {
      const { status, body } = await api.get(url, { token: asAlice, consistency })
      expect({ status, code: body['code'] }).toEqual({ status: 503, code: 'read-model-parked' })
    }
  })

  it('is not there for others', async () => {
    expect(await api.get(path, { token: asBob })).toMatchObject({ status: 404, body: { code: 'payment-not-found' } })
    expect((await api.get(path, { token: asRoot })).body['code']).toBe('read-model-parked')
  })

  it('says so of an account as well', async () => {
    const userId = randomUUID()
    const unreadable = account(userId, 'x@example.org', 3_000n, '2026-03-01T08:00:00.000Z')
    await feed([{ ...unreadable, data: { ...(unreadable.data as object), roles: [] } }])
    const answer = await api.get('/users/me', { token: await api.tokenFor(userId) })
    expect(answer).toMatchObject({ status: 503, body: { code: 'read-model-parked' } })
  })
})

describe('another log than the read models were made from', () => {
  const token = (log: string) => consistencyTokenOf({ stream: alicePayment.stream, revision: 2, position: 12n, log })
  const codeFor = async (consistency: string) =>
    (await api.get('/payments', { token: asAlice, consistency })).body['code']

  it('is told from ours by the token', async () => {
    await database.pool.query(`insert into annals.log_state (identity) values ('c0ffee00-0000-4000-8000-000000000000')`)
    await eventually(async () => expect(await codeFor(token('deadbeef'))).toBe('read-model-of-another-log'))
    expect(await codeFor(token('c0ffee00'))).toBeUndefined()
    expect(await api.isReady()).toBe(true)
  })

  it('is refused for every token, and by readiness, once the projector has refused the log', async () => {
    await database.pool.query(`update annals.log_state set refusal = 'the log went back: run this or that'`)
    await eventually(async () => expect(await codeFor(token('c0ffee00'))).toBe('read-model-of-another-log'))
    expect(await api.isReady()).toBe(false)
    await database.pool.query('delete from annals.log_state')
    await eventually(async () => expect(await api.isReady()).toBe(true))
  })
})

describe('a read model that is not there', () => {
  it('is said to be on its way', async () => {
    const empty = await scope.database(projectionDatabase)
    const early = await startTestApi(scope, { pool: empty.pool })
    const { status, body, headers } = await early.get('/users/me', { token: await early.tokenFor(alice) })
    expect({ status, code: body['code'] }).toEqual({ status: 503, code: 'read-model-rebuilding' })
    expect(headers.get('retry-after')).toBe('2')
  })
})

describe('a filter of an administrator', () => {
  it.each([
    ['email=%00', 400],
    ['email=a%00%40example.org', 400],
    // No UTF-8: it stays as it is written, and finds nobody.
    ['email=%ED%A0%80', 200],
    ['email=%E2%80%8B', 400],
    ['email=nobody', 200],
    ['email=ALICE%40example.org%20', 200],
    ['email=a%40b%C3%BCcher.example', 200],
  ])('looks for an address or refuses it: %s is answered %i', async (query, status) => {
    const answer = await api.get(`/users?${query}`, { token: asRoot })
    expect(answer.status).toBe(status)
    if (query.includes('ALICE')) expect(answer.body.items).toHaveLength(1)
  })

  it.each([
    ['to=0001-01-15', 200],
    ['from=0001-01-01&to=0001-12-31', 200],
    ['to=9999-12-31', 200],
    ['from=0000-12-31&to=0001-01-01', 400],
    ['to=0000-01-01', 400],
    ['from=2026-02-30', 400],
    ['to=%00', 400],
  ])('counts days that there are: %s is answered %i', async (query, status) =>
    expect((await api.get(`/stats/payments?${query}`, { token: asRoot })).status).toBe(status),
  )
})

// At the end: it adds to the accounts that are listed.
describe('a token', () => {
  it('is refused by what its account has become, although Redis has forgotten it', async () => {
    const [owner, kept, taken] = [randomUUID(), randomUUID(), randomUUID()]
    let revision = 0
    const happens = (type: EventType, data: object) =>
      feed([
        recorded(
          type,
          `user-${owner}`,
          ++revision,
          BigInt(950 + revision),
          { userId: owner, ...data } as never,
          new Date().toISOString(),
        ),
      ])
    await feed([account(owner, 'owner@example.org', 950n, new Date().toISOString())])
    const codeOf = async (token: string) => (await api.get('/users/me', { token })).body['code']
    await redis.flushdb()
    const [goesOn, isOver] = [
      await api.tokenFor(owner, { sessionId: kept }),
      await api.tokenFor(owner, { sessionId: taken }),
    ]
    expect([await codeOf(goesOn), await codeOf(isOver)]).toEqual([undefined, undefined])
    await happens('user.sessions_ended', { epoch: 2, exceptSessionId: kept })
    expect([await codeOf(goesOn), await codeOf(isOver)]).toEqual([undefined, 'session-ended'])
    await happens('user.role_granted', { role: 'finance' })
    expect(await codeOf(goesOn)).toBe('unauthenticated')
    const refreshed = await api.tokenFor(owner, { sessionId: kept, roles: ['user', 'finance'] })
    expect(await codeOf(refreshed)).toBeUndefined()
    await happens('user.role_revoked', { role: 'finance' })
    expect([await codeOf(refreshed), await codeOf(goesOn)]).toEqual(['unauthenticated', undefined])
    await happens('user.disabled', { epoch: 3, reason: 'administrator' })
    expect(await codeOf(goesOn)).toBe('session-ended')
    await happens('user.enabled', {})
    expect(await codeOf(goesOn)).toBe('session-ended')
    expect(await codeOf(await api.tokenFor(owner, { epoch: 3 }))).toBeUndefined()
    await happens('user.erased', { epoch: 4 })
    expect(await codeOf(await api.tokenFor(owner, { epoch: 4, roles: [] }))).toBe('session-ended')
  })
})

// At the end as well.
describe('accounts that are searched', () => {
  const found = async (query: string) => (await api.get(`/users?${query}`, { token: asRoot })).body.items
  const [zoe, zack] = [randomUUID(), randomUUID()]

  beforeAll(async () => {
    const at = '2020-01-01T00:00:00.000Z'
    const named = (userId: string, name: string, position: bigint, roles: string[]) => {
      const data = { userId, email: `${userId}@example.org`, name, locale: 'en', roles, credentialId: null }
      return recorded('user.registered', `user-${userId}`, 0, position, { ...data, emailProved: true }, at)
    }
    await feed([
      named(zoe, 'Zoë 100%_sure', 2_000n, ['user', 'auditor']),
      named(zack, 'zack Zoë', 2_001n, ['user']),
      recorded('user.disabled', `user-${zack}`, 1, 2_002n, { userId: zack, epoch: 2, reason: 'administrator' }, at),
    ])
  })

  it('are those whose name begins so, whatever the capitals', async () => {
    const idsOf = async (name: string) => (await found(`name=${encodeURIComponent(name)}`)).map((one) => one['userId'])
    expect(await idsOf('ZOË')).toEqual([zoe])
    expect((await idsOf('z')).toSorted()).toEqual([zoe, zack].toSorted())
    expect(await idsOf('zoë 100%_')).toEqual([zoe])
  })

  it('are found by nothing that only looks like a pattern', async () => {
    for (const name of ['%', '_', 'z%', 'zoë 100_', '\\', "z' or '1'='1"])
      expect(await found(`name=${encodeURIComponent(name)}`)).toEqual([])
  })

  it('are those of a role, and of a state, and of both', async () => {
    expect((await found('role=auditor')).map((one) => one['userId'])).toEqual([zoe])
    expect((await found('state=disabled&name=zack')).map((one) => one['userId'])).toEqual([zack])
    expect(await found('state=disabled&role=auditor')).toEqual([])
    const nonsense = await api.get('/users?state=gone', { token: asRoot })
    expect(nonsense).toMatchObject({ status: 400, body: { code: 'invalid-request' } })
  })

  it('come page by page, and a cursor is good for its own search alone', async () => {
    const first = await api.get('/users?name=z&limit=1', { token: asRoot })
    const { nextCursor } = first.body
    const second = await api.get(`/users?name=z&limit=1&cursor=${nextCursor}`, { token: asRoot })
    expect([...first.body.items, ...second.body.items].map((one) => one['userId']).toSorted()).toEqual(
      [zoe, zack].toSorted(),
    )
    expect(second.body.nextCursor).toBeNull()
    const other = await api.get(`/users?limit=1&cursor=${nextCursor}`, { token: asRoot })
    expect(other).toMatchObject({ status: 400, body: { code: 'invalid-cursor' } })
  })
})
