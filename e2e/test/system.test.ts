/**
 * The whole system as processes on real servers, through its own doors: HTTP, the command lines, the inbox. One person's story runs
 * through the file, so the tests stand in order.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  ActivityPage,
  CreatePaymentRequest,
  PaymentEventsResponse,
  PaymentPage,
  PaymentResponse,
  PaymentStatsResponse,
  Problem,
  problems,
  ProcessPaymentResponse,
  RegisterRequest,
  TokenResponse,
  UserPage,
  UserResponse,
  ValidateResponse,
} from '@annals/contracts'
import { metricsOf, readAlerts, rulesOf } from '../../dev/checks/alerts-check.mjs'
import { logOf } from '../../dev/stack/processes.mjs'
import { eventually } from '../eventually.mjs'
import { checkPaymentGateway, readCharges } from '../faults/check-payment-gateway.mjs'
import { checkMails, intendedMails, readInbox, readDeliveries } from '../faults/check-mails.mjs'
import { readLog } from '../faults/check-log.mjs'
import { checkReadModels, readReadModels } from '../faults/check-read-models.mjs'
import { checkTopics, readTopics } from '../faults/check-topics.mjs'
import { Findings } from '../faults/findings.mjs'
import { sendHostile } from '../attacks/hostile.mjs'
import { tryEverybody } from '../attacks/permission-matrix.mjs'
import { exchange } from '../http.mjs'
import { cpuSecondsOf, runProgram, startProgram } from '../processes.mjs'
import { openSystem } from '../system.mjs'

type Answer = Awaited<ReturnType<typeof exchange>>
type Options = NonNullable<Parameters<typeof exchange>[1]>

const services = ['command', 'relay', 'projector', 'query', 'notifier'] as const
/**
 * Of one core, all processes together. At rest they take about 6: heartbeats, fetches that find nothing, looks at what is due. A
 * client that spins takes more than all of it.
 */
const cpuPercentMax = 10

const run = randomBytes(4).toString('hex')
const password = `sensible ${run} passphrase`
const traceId = randomBytes(16).toString('hex')
const keyed = () => ({ 'idempotency-key': randomUUID() })

let system: Awaited<ReturnType<typeof openSystem>>
const command = (path: string, options: Options = {}): Promise<Answer> =>
  exchange(`${system.services.urls.command}${path}`, { method: 'POST', ...options })
const query = (path: string, options: Options = {}): Promise<Answer> =>
  exchange(`${system.services.urls.query}/api/v1${path}`, options)
/** A query that waits for a command: the read model answers when it has come so far. */
const seen = (path: string, token: string, consistencyToken: string) =>
  eventually(async () => {
    const answer = await query(path, { token, headers: { 'consistency-token': consistencyToken } })
    expect(answer.status).toBe(200)
    return answer.body
  })

interface Person {
  userId: string
  email: string
  name: string
  accessToken: string
  refreshToken: string
  sessionId: string
  consistencyToken: string
}

/** What was sent and is personal: the read models hold it, no log file does. */
const people = new Map<string, { email: string; name: string }>()
const descriptions = new Map<string, string | null>()
const secrets = new Set<string>([password])
/** The same of what was hostile and accepted, in the form in which it is kept. Too common to be looked for in logs ("a", "NaN"). */
const hostile = {
  people: new Map<string, { email: string; name: string }>(),
  descriptions: new Map<string, string | null>(),
}
const sentByAll = () => ({
  people: new Map([...people, ...hostile.people]),
  descriptions: new Map([...descriptions, ...hostile.descriptions]),
})

async function login({ email }: { email: string }): Promise<Person> {
  const { status, body } = await command('/api/v1/auth/login', { body: { email, password } })
  expect(status).toBe(200)
  for (const secret of [body.accessToken, body.refreshToken]) secrets.add(secret)
  const { name } = people.get(body.userId)!
  return { ...TokenResponse.parse(body), email, name }
}

async function registered(name: string, headers: Record<string, string> = {}): Promise<Person> {
  const email = `${name.toLowerCase()}.${run}@example.org`
  const body = { email: ` ${email.toUpperCase()} `, password, name: `${name} ${run}` }
  const answer = await command('/api/v1/auth/register', { body, headers: { ...keyed(), ...headers } })
  expect(answer.status).toBe(201)
  people.set(answer.body.userId, { email, name: body.name })
  return login({ email })
}

async function pay(token: string, { amount = '12.50', currency = 'EUR', card = 'tok_visa', headers = {} } = {}) {
  const description = `Instalment ${randomBytes(5).toString('hex')}`
  const body = { amount, currency, method: { type: 'card', token: card }, description }
  const { status, body: created } = await command('/api/v1/payments', {
    body,
    token,
    headers: { ...keyed(), ...headers },
  })
  expect(status).toBe(201)
  descriptions.set(created.paymentId, description)
  return created as { paymentId: string; status: string; consistencyToken: string }
}

const settle = async (paymentId: string, token: string, headers = {}) =>
  ProcessPaymentResponse.parse((await command(`/api/v1/payments/${paymentId}/process`, { token, headers })).body)

const mailsTo = async (email: string): Promise<{ id: string; messageId: string; subject: string }[]> =>
  (await exchange(`${system.env.MAIL_INBOX_URL}/api/messages?to=${encodeURIComponent(email)}`)).body.messages

let ada: Person
let eve: Person
let admin: Person
let paid: string
let declined: string

beforeAll(async () => {
  // Debug, so that what must not be in a log has every chance to get there.
  system = await openSystem(`e2e-${process.pid}`, { env: { LOG_LEVEL: 'debug' } })
}, 180_000)

afterAll(() => system?.close(), 60_000)

describe('an account', () => {
  it('is registered, and logs in', async () => {
    ada = await registered('Ada', { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` })
    expect(people.has(ada.userId)).toBe(true)
  })

  it('is registered once, however its address is written', async () => {
    const body = { email: ada.email.toUpperCase(), password, name: 'Another' }
    expect((await command('/api/v1/auth/register', { body })).body.code).toBe('email-taken')
  })

  it('holds a valid access token', async () => {
    const { status, body } = await command('/api/v1/auth/validate', { method: 'GET', token: ada.accessToken })
    expect(status).toBe(200)
    expect(ValidateResponse.parse(body)).toMatchObject({ active: true, userId: ada.userId, roles: ['user'] })
  })

  it('refreshes it, and a token that was used long before ends the session', async () => {
    const first = await login(ada)
    const refresh = ({ refreshToken }: { refreshToken: string }) =>
      command('/api/v1/auth/refresh', { body: { refreshToken } })
    const second = TokenResponse.parse((await refresh(first)).body)
    expect(second.sessionId).toBe(first.sessionId)
    const third = TokenResponse.parse((await refresh(second)).body)
    for (const { refreshToken } of [second, third]) secrets.add(refreshToken)
    expect((await refresh(first)).body.code).toBe('session-ended')
    expect((await refresh(third)).body.code).toBe('session-ended')
  })

  it('logs out: its token is worth nothing any more, on either API', async () => {
    const other = await login(ada)
    const answer = await command('/api/v1/auth/logout', { token: other.accessToken })
    expect(answer.status).toBe(204)
    const validation = await command('/api/v1/auth/validate', { method: 'GET', token: other.accessToken })
    expect(validation.body.code).toBe('session-ended')
    await eventually(async () => {
      expect((await query('/users/me', { token: other.accessToken })).status).toBe(401)
    })
  })

  it('reads itself', async () => {
    const me = UserResponse.parse(await seen('/users/me', ada.accessToken, ada.consistencyToken))
    expect(me).toMatchObject({ userId: ada.userId, email: ada.email, name: ada.name, roles: ['user'] })
  })
})

describe('a payment', () => {
  it('is created, processed, and read back as it was acknowledged', async () => {
    const created = await pay(ada.accessToken)
    paid = created.paymentId
    const processed = await settle(paid, ada.accessToken)
    expect(processed.status).toBe('completed')
    const view = PaymentResponse.parse(await seen(`/payments/${paid}`, ada.accessToken, processed.consistencyToken))
    expect(view).toMatchObject({ amount: '12.50', currency: 'EUR', status: 'completed', userId: ada.userId })
    expect(view.description).toBe(descriptions.get(paid))
  })

  it('that the payment gateway declines fails, and stays so', async () => {
    declined = (await pay(ada.accessToken, { card: 'tok_insufficient_funds' })).paymentId
    const processed = await settle(declined, ada.accessToken)
    expect(processed).toMatchObject({ status: 'failed', failureCode: 'insufficient-funds' })
    const view = await seen(`/payments/${declined}`, ada.accessToken, processed.consistencyToken)
    expect(view).toMatchObject({ status: 'failed', failureCode: 'insufficient-funds' })
    expect((await command(`/api/v1/payments/${declined}/process`, { token: ada.accessToken })).body.code).toBe(
      'payment-not-processable',
    )
  })

  it('is the same payment when its request is repeated, and refused with another body', async () => {
    const headers = keyed()
    const body = { amount: '7', currency: 'JPY', method: { type: 'card', token: 'tok_visa' } }
    const send = (amount: string) =>
      command('/api/v1/payments', { body: { ...body, amount }, headers, token: ada.accessToken })
    const first = await send('7')
    descriptions.set(first.body.paymentId, null)
    expect((await send('7')).body).toEqual(first.body)
    expect((await send('8')).body.code).toBe('idempotency-key-reused')
    await seen(`/payments/${first.body.paymentId}`, ada.accessToken, first.body.consistencyToken)
  })

  it('is listed by filters, page by page', async () => {
    const list = async (parameters: string) => {
      const { body } = await query(`/payments?${parameters}`, { token: ada.accessToken })
      return PaymentPage.parse(body)
    }
    const idsOf = ({ items }: { items: { paymentId: string }[] }) => items.map(({ paymentId }) => paymentId)
    expect(idsOf(await list('status=completed'))).toEqual([paid])
    expect(idsOf(await list('status=failed&currency=EUR'))).toEqual([declined])
    expect(idsOf(await list('currency=KWD'))).toEqual([])
    const all = await list('limit=100')
    expect(all.items).toHaveLength(3)
    const walked = []
    let cursor: string | null = ''
    for (let page = 0; cursor !== null && page < 5; page++) {
      const { items, nextCursor }: { items: { paymentId: string }[]; nextCursor: string | null } = await list(
        `limit=1${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
      )
      walked.push(...items)
      cursor = nextCursor
    }
    expect(idsOf({ items: walked })).toEqual(idsOf(all))
  })

  it('tells its history', async () => {
    const { body } = await query(`/payments/${paid}/events`, { token: ada.accessToken })
    const types = PaymentEventsResponse.parse(body).items.map(({ type }) => type)
    expect(types).toEqual(['payment.created', 'payment.process_started', 'payment.processed'])
  })

  it('is part of what its owner did', async () => {
    const { body } = await query('/users/me/activity?limit=100', { token: ada.accessToken })
    const did = ActivityPage.parse(body).items
    expect(did).toContainEqual(expect.objectContaining({ type: 'payment.processed', about: paid }))
    expect(did.at(-1)).toMatchObject({ type: 'user.registered', about: ada.userId })
  })
})

describe('somebody else', () => {
  beforeAll(async () => {
    eve = await registered('Eve')
    await seen('/users/me', eve.accessToken, eve.consistencyToken)
  })

  it.each([
    ['the payment', () => `/payments/${paid}`, 'payment-not-found'],
    ['its history', () => `/payments/${paid}/events`, 'payment-not-found'],
    ['its owner', () => `/users/${ada.userId}`, 'user-not-found'],
  ])('does not find %s', async (_, path, code) => {
    const { status, body } = await query(path(), { token: eve.accessToken })
    expect({ status, code: body.code }).toEqual({ status: 404, code })
  })

  it('can not process it', async () => {
    const { status, body } = await command(`/api/v1/payments/${paid}/process`, { token: eve.accessToken })
    expect({ status, code: body.code }).toEqual({ status: 404, code: 'payment-not-found' })
  })

  it('sees an empty list', async () => {
    expect((await query(`/payments?userId=${ada.userId}`, { token: eve.accessToken })).body.items).toEqual([])
  })

  it.each(['/users', '/stats/payments'])('is refused %s', async (path) => {
    expect((await query(path, { token: eve.accessToken })).body.code).toBe('forbidden')
  })
})

describe('an administrator', () => {
  beforeAll(async () => {
    admin = await registered('Grace')
    const output = await runProgram(
      'command-service/dist/operator/main.js',
      ['grant-role', admin.email, 'admin'],
      system.env,
    )
    expect(output).toContain(admin.userId)
    // The role is part of the next token.
    admin = await login(admin)
    expect((await command('/api/v1/auth/validate', { method: 'GET', token: admin.accessToken })).body.roles).toContain(
      'admin',
    )
  })

  it('sees everybody’s payments and accounts', async () => {
    await seen(`/payments/${paid}`, admin.accessToken, admin.consistencyToken)
    const { body } = await query(`/users?email=${encodeURIComponent(ada.email)}`, { token: admin.accessToken })
    expect(UserPage.parse(body).items.map(({ userId }) => userId)).toEqual([ada.userId])
  })

  it('reads the totals', async () => {
    const { body } = await query('/stats/payments?currency=EUR', { token: admin.accessToken })
    const { items } = PaymentStatsResponse.parse(body)
    expect(items).toHaveLength(1)
    expect(items[0]).toMatchObject({
      createdCount: 2,
      createdAmount: '25.00',
      completedCount: 1,
      completedAmount: '12.50',
      failedCount: 1,
      failedAmount: '12.50',
    })
  })

  it('reads what was sent', async () => {
    const url = `${system.services.urls.notifier}/api/v1/notifications/stats`
    const { status, body } = await exchange(url, { token: admin.accessToken })
    expect(status).toBe(200)
    expect(body.items.length).toBeGreaterThan(0)
    expect((await exchange(url, { token: eve.accessToken })).body.code).toBe('forbidden')
    expect((await exchange(url)).body.code).toBe('unauthenticated')
  })
})

/** Every route of the three APIs, called by everybody, with another person's ids. */
describe('who may call what', () => {
  let tried: Awaited<ReturnType<typeof tryEverybody>>
  const refusals = new Set(['unauthenticated', 'session-ended', 'forbidden'])
  /** How a caller is refused by a route of this permission; `undefined`: not at all. */
  const refusalOf: Record<string, (permission: string) => string | undefined> = {
    nobody: (permission) => (permission === 'public' ? undefined : 'unauthenticated'),
    'somebody with a made-up token': (permission) => (permission === 'public' ? undefined : 'unauthenticated'),
    'somebody who has logged out': (permission) => (permission === 'public' ? undefined : 'session-ended'),
    'somebody else': (permission) => (/^(public$|own$|own-or-)/.test(permission) ? undefined : 'forbidden'),
    'an administrator': () => undefined,
  }

  beforeAll(async () => {
    const left = await login(eve)
    const { factorId } = (await command('/api/v1/users/me/factors/totp', { token: ada.accessToken })).body
    expect((await command('/api/v1/auth/logout', { token: left.accessToken })).status).toBe(204)
    const callers = {
      nobody: { isLetIn: false },
      'somebody with a made-up token': { token: `${eve.accessToken.slice(0, -4)}AAAA`, isLetIn: false },
      'somebody who has logged out': { token: left.accessToken, isLetIn: false },
      'somebody else': { token: eve.accessToken, isLetIn: true },
      'an administrator': { token: admin.accessToken, isLetIn: true },
    }
    tried = await tryEverybody(system.services.urls, callers, {
      paymentId: paid,
      userId: ada.userId,
      factorId,
      sessionId: ada.sessionId,
    })
    for (const { route, status, body, sent } of tried) {
      if (status !== 201) continue
      if (route.includes('/register'))
        hostile.people.set(body['userId'], { email: sent!['email'], name: sent!['name'] })
      if (body['paymentId']) hostile.descriptions.set(body['paymentId'], null)
    }
  }, 60_000)

  it('is what the routes say, on every API', () => {
    const codeOf = ({ body }: (typeof tried)[number]) => (refusals.has(body?.['code']) ? body['code'] : undefined)
    const wrong = tried.filter((one) => codeOf(one) !== refusalOf[one.caller]!(one.permission))
    expect(
      wrong.map(({ route, caller, status, body }) => `${route} by ${caller}: ${status} ${body?.['code']}`),
    ).toEqual([])
    expect(new Set(tried.map(({ route }) => route)).size).toBeGreaterThanOrEqual(19)
  })

  it('is told to everybody who is not let in', () => {
    for (const { challenge } of tried.filter(({ status }) => status === 401)) expect(challenge).toBe('Bearer')
  })

  it('lets nobody but administrators know whether there is something of another person', () => {
    const withoutId = ({ status, body }: (typeof tried)[number]) => ({ status, body: { ...body, correlationId: '' } })
    const ofTheirs = tried.filter(({ caller, ids }) => caller === 'somebody else' && ids === 'theirs')
    expect(ofTheirs.length).toBeGreaterThanOrEqual(4)
    for (const one of ofTheirs) {
      const other = tried.find(
        ({ route, caller, ids }) => route === one.route && caller === one.caller && ids !== 'theirs',
      )
      expect({ route: one.route, ...withoutId(one) }).toEqual({ route: one.route, ...withoutId(other!) })
      expect({ route: one.route, status: one.status }).toEqual({ route: one.route, status: 404 })
    }
  })

  it('lets administrators see what is another person’s', () => {
    const seenByAdmin = tried.filter(
      ({ caller, ids, permission }) => caller === 'an administrator' && ids === 'theirs' && permission !== 'own',
    )
    for (const { route, status } of seenByAdmin) expect({ route, status }).toEqual({ route, status: 200 })
  })
})

describe('mails', () => {
  it('arrive one for each fact, each with a Message-ID of its own', async () => {
    const mails = await eventually(async () => {
      const found = await mailsTo(ada.email)
      expect(found).toHaveLength(3)
      return found
    })
    expect(new Set(mails.map(({ messageId }) => messageId)).size).toBe(3)
  })

  it('carry the trace of the request that caused them, and so do the event and the record', async () => {
    const [event] = (await readLog(system.env.EVENTSTORE_URL)).filter(({ stream }) => stream === `user-${ada.userId}`)
    expect(event!.metadata.traceparent).toContain(traceId)
    const [record] = (await readTopics(system.env.KAFKA_BROKERS)).filter(({ key }) => key === `user-${ada.userId}`)
    expect(record!.headers.ce_traceparent).toContain(traceId)
    const [welcome] = (await mailsTo(ada.email)).slice(-1)
    const { body } = await exchange(`${system.env.MAIL_INBOX_URL}/api/messages/${welcome!.id}`)
    expect(body.headers.traceparent).toContain(traceId)
  })
})

describe('an answer that is no success', () => {
  const cases: [string, () => Promise<Answer>, keyof typeof problems][] = [
    ['a body that is no JSON object', () => command('/api/v1/auth/register', { body: 'text' }), 'invalid-request'],
    ['fields that are wrong', () => command('/api/v1/auth/register', { body: { email: 'x' } }), 'invalid-request'],
    [
      'a wrong password',
      () => command('/api/v1/auth/login', { body: { email: ada.email, password: 'not the password' } }),
      'invalid-credentials',
    ],
    [
      'an unknown address',
      () => command('/api/v1/auth/login', { body: { email: `nobody.${run}@example.org`, password } }),
      'invalid-credentials',
    ],
    ['no token', () => command('/api/v1/payments', { body: {}, headers: keyed() }), 'unauthenticated'],
    [
      'a payment without a key',
      () => command('/api/v1/payments', { body: {}, token: ada.accessToken }),
      'idempotency-key-required',
    ],
    [
      'an amount finer than its currency',
      () =>
        command('/api/v1/payments', {
          body: { amount: '1.5', currency: 'JPY', method: { type: 'card', token: 'tok_visa' } },
          headers: keyed(),
          token: ada.accessToken,
        }),
      'amount-not-representable',
    ],
    [
      'a body that is too large',
      () => command('/api/v1/auth/login', { body: { email: ada.email, password: 'x'.repeat(100_000) } }),
      'payload-too-large',
    ],
    ['an unknown path', () => command('/api/v1/nothing'), 'not-found'],
    ['a query without a token', () => query('/payments'), 'unauthenticated'],
    ['a forged token', () => query('/payments', { token: `${ada.accessToken.slice(0, -4)}AAAA` }), 'unauthenticated'],
    ['a wrong filter', () => query('/payments?status=lost', { token: ada.accessToken }), 'invalid-request'],
    ['a wrong cursor', () => query('/payments?cursor=abc', { token: ada.accessToken }), 'invalid-cursor'],
    [
      'a consistency token of somebody else’s making',
      () => query('/payments', { token: ada.accessToken, headers: { 'consistency-token': 'abc' } }),
      'invalid-consistency-token',
    ],
    ['an unknown query', () => query('/nothing', { token: ada.accessToken }), 'not-found'],
  ]

  it.each(cases)('to %s is a problem as RFC 9457 has it', async (_, send, code) => {
    const { status, headers, body } = await send()
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json\b/)
    const problem = Problem.parse(body)
    expect(problem).toMatchObject({ code, status, type: `urn:annals:problem:${code}`, title: problems[code].title })
    expect(status).toBe(problems[code].status)
    expect(problem.correlationId).toBe(headers.get('x-correlation-id'))
    if (status === 401) expect(headers.get('www-authenticate')).toBeTruthy()
  })
})

/** Every value of the corpus, in every place that the documents of the three APIs name. */
describe('what is hostile', () => {
  let sent: Awaited<ReturnType<typeof sendHostile>>

  beforeAll(async () => {
    sent = await sendHostile(system.services.urls, admin.accessToken, {
      paymentId: paid,
      userId: ada.userId,
      factorId: randomUUID(),
      sessionId: ada.sessionId,
    })
    for (const { operation, status, body, answer } of sent) {
      if (status !== 201) continue
      if (operation === 'POST /api/v1/auth/register') {
        const { email, name } = RegisterRequest.parse(body)
        hostile.people.set(answer.userId, { email, name })
      } else if (answer.paymentId)
        hostile.descriptions.set(answer.paymentId, CreatePaymentRequest.parse(body).description ?? null)
    }
  }, 180_000)

  it('reaches every API, and is refused or taken', () => {
    expect(sent.length).toBeGreaterThan(2_000)
    expect(hostile.people.size).toBeGreaterThan(20)
    expect(hostile.descriptions.size).toBeGreaterThan(20)
    expect(sent.filter(({ status }) => status === 400).length).toBeGreaterThan(1_000)
  })

  it('is never answered with a fault of ours', () =>
    expect(
      sent
        .filter(({ status }) => status >= 500)
        .map(({ what, status }) => `${what}: ${status}`)
        .slice(0, 30),
    ).toEqual([]))

  it('is answered as the documents say, with a problem where it is refused', () => {
    const told = ({ status, documented }: (typeof sent)[number]) => documented.includes(String(status))
    expect(
      sent
        .filter((one) => !told(one))
        .map(({ what, status }) => `${what}: ${status}`)
        .slice(0, 30),
    ).toEqual([])
    const refused = sent.filter(({ status }) => status >= 400)
    expect(
      refused.filter(({ contentType }) => !contentType.startsWith('application/problem+json')).slice(0, 5),
    ).toEqual([])
    for (const { answer } of refused) Problem.parse(answer)
  })

  it('leaves every read model as a rebuild makes it, and nothing parked', async () => {
    // The two that hold texts of people.
    for (const call of [['users'], ['payments'], ['drift', '--all']]) {
      const { code, output } = await startProgram('projection-service/dist/replay/main.js', call, system.env)
      expect({ call, code, output }).toMatchObject({ call, code: 0 })
    }
    const { parked } = await readReadModels(system.env.QUERY_DATABASE_URL, { rows: false })
    expect(parked).toEqual([])
  }, 120_000)
})

describe('the system', () => {
  it('rebuilds a read model while requests go on', async () => {
    const replay = startProgram('projection-service/dist/replay/main.js', ['payments'], system.env)
    const state = { running: true }
    const ended = replay.finally(() => {
      state.running = false
    })
    let served = 0
    do {
      const { paymentId, consistencyToken } = await pay(ada.accessToken, { amount: '3', currency: 'USD' })
      const view = await seen(`/payments/${paymentId}`, ada.accessToken, consistencyToken)
      expect(view.status).toBe('pending')
      served += 1
    } while (state.running && served < 1_000)
    const { code, output } = await ended
    expect({ code, output }).toMatchObject({ code: 0 })
    expect(served).toBeGreaterThan(1)
  }, 90_000)

  it('holds in every place what the log holds', async () => {
    await eventually(async () => {
      const { env } = system
      const findings = new Findings()
      const events = await readLog(env.EVENTSTORE_URL)
      checkTopics(events, await readTopics(env.KAFKA_BROKERS), findings)
      checkReadModels(events, sentByAll(), await readReadModels(env.QUERY_DATABASE_URL), findings)
      const { deliveries } = await readDeliveries(env.NOTIFIER_DATABASE_URL)
      const inbox = await readInbox(env.MAIL_INBOX_URL)
      checkPaymentGateway(events, readCharges(env.PAYMENT_GATEWAY_CHARGES_FILE!), findings)
      checkMails(intendedMails(events), deliveries, inbox, sentByAll().people, findings)
      expect(findings.all()).toEqual([])
    }, 25_000)
  }, 40_000)

  it.each(services)('%s answers /healthz, /readyz and /metrics', async (name) => {
    const url = system.services.operations[name]
    expect((await exchange(`${url}/healthz`)).status).toBe(200)
    const ready = await exchange(`${url}/readyz`)
    expect({ status: ready.status, body: ready.body }).toMatchObject({ status: 200, body: { status: 'ready' } })
    const metrics = await exchange(`${url}/metrics`)
    expect(metrics.headers.get('content-type')).toContain('text/plain')
    expect(metrics.body).toMatch(/^process_cpu_seconds_total\{service="[a-z-]+"\} [\d.]+$/m)
  })

  it('tells every metric that an alarm asks for', async () => {
    const told = new Set<string>()
    for (const name of services) {
      const { body } = await exchange(`${system.services.operations[name]}/metrics`)
      for (const [, metric] of String(body).matchAll(/^# TYPE (\S+) /gm)) told.add(metric!)
    }
    const asked = rulesOf(readAlerts().yaml).flatMap(({ alert, expr }) =>
      metricsOf(expr).map((metric) => [metric, alert]),
    )
    expect(asked.length).toBeGreaterThan(10)
    expect(asked.filter(([metric]) => !told.has(metric!))).toEqual([])
  })

  it('rests when nobody asks for anything', async () => {
    const seconds = () => services.reduce((sum, name) => sum + cpuSecondsOf(system.stack.profile, name), 0)
    // What was asked before may still be worked off, and on a busy host the same work costs more. Who spins does so in every window.
    await eventually(async () => {
      const [before, from] = [seconds(), performance.now()]
      await delay(5_000)
      const percent = ((seconds() - before) / (performance.now() - from)) * 1000 * 100
      expect(percent).toBeLessThan(cpuPercentMax)
    }, 25_000)
  }, 40_000)

  it('writes neither secrets nor personal data into its logs', () => {
    for (const { email, name } of people.values()) {
      secrets.add(email)
      secrets.add(name)
    }
    for (const description of descriptions.values()) if (description) secrets.add(description)
    for (const name of [
      'MASTER_KEY',
      'SECRETS_MASTER_KEY',
      'PASSWORD_PEPPER',
      'RESERVATION_KEY',
      'REFRESH_TOKEN_KEY',
      'CONSISTENCY_TOKEN_KEY',
    ])
      secrets.add(system.env[name]!)
    secrets.add(JSON.parse(system.env['JWT_PRIVATE_JWK']!).d)
    for (const name of services) {
      const log = readFileSync(logOf(system.stack.profile, name), 'utf8')
      expect(log.length).toBeGreaterThan(0)
      const found = [...secrets].filter((secret) => log.toLowerCase().includes(secret.toLowerCase()))
      expect({ name, found }).toEqual({ name, found: [] })
    }
  })

  it.each(services)('%s ends in order on SIGTERM, with code 0', async (name) => {
    const ended = system.services.exit(name)
    await system.services.kill(name, 'SIGTERM')
    expect(await ended).toBe(0)
    expect(readFileSync(logOf(system.stack.profile, name), 'utf8')).not.toContain('did not end in time')
  })
})
