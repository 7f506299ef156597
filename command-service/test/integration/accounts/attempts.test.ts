import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { createEventLog, type EventLog, type NewLogEvent } from '@annals/platform/event-log'
import { derivedId } from '@annals/platform/ids'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { createChallengeSecrets, type ChallengeSecrets } from '../../../src/accounts/challenge-secrets'
import { createAddressHash } from '../../../src/accounts/commands/registration'
import { guessesMax } from '../../../src/accounts/domain/challenge'
import { resendsMax } from '../../../src/accounts/domain/registration'
import { commandDatabase, silent } from '../../support/database'
import { distanceOf } from '../../support/distributions'
import {
  newEmail,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Environment,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
let database: TestDatabase
let environment: Environment
let service: TestService
let open: TestService
let log: EventLog
let secrets: ChallengeSecrets
let addressHash: (email: string) => string

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    REGISTRATION_MODE: 'verify-first',
  })
  service = await startTestService(scope, environment)
  open = await startTestService(scope, { ...environment, REGISTRATION_MODE: 'open' })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  const key = Buffer.from(environment['RESERVATION_KEY']!, 'base64')
  secrets = createChallengeSecrets(key, 'main')
  addressHash = createAddressHash(key, 'main')
})

const begin = (email = newEmail(), more: object = {}, key?: string) =>
  service.post('/api/v1/auth/register', {
    body: { email, password, name: 'Anna', ...more },
    ...(key ? { headers: { 'idempotency-key': key } } : {}),
  })
/** What the mail of an attempt carries: `number` counts the messages. */
const challengeOf = (registrationId: string, number = 0) => derivedId('registration-challenge', registrationId, number)
const codeOf = (registrationId: string, number = 0) => secrets.codeOf(challengeOf(registrationId, number))
const tokenOf = (registrationId: string, number = 0) => secrets.tokenOf(challengeOf(registrationId, number))
const verify = (body: object, through = service) => through.post('/api/v1/auth/verify-email', { body })
const logIn = (email: string, secret = password) =>
  service.post('/api/v1/auth/login', { body: { email, password: secret } })
const typesOf = async (stream: string) => (await log.readStream(stream)).map(({ type }) => type)
const wrong = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0')

describe('an attempt to register', () => {
  it('holds no address and no account until the code is given; then its person is logged in', async () => {
    const email = newEmail()
    const { status, body } = await begin(email)
    expect([status, Object.keys(body)]).toEqual([202, ['registrationId', 'expiresAt']])
    expect(await typesOf(`email-${addressHash(email)}`)).toEqual([])
    expect((await logIn(email)).body.code).toBe('invalid-credentials')

    const { registrationId } = body
    const verified = await verify({ registrationId, code: codeOf(registrationId) })
    expect(verified.status).toBe(200)
    const { userId, session } = verified.body
    expect(session).toMatchObject({ userId, tokenType: 'Bearer' })
    const checked = await service.get('/api/v1/auth/validate', { token: session.accessToken })
    expect([checked.status, checked.body.userId]).toEqual([200, userId])
    expect((await logIn(email)).body.userId).toBe(userId)
    const [registered] = await log.readStream(`user-${userId}`)
    expect(registered!.data).toMatchObject({ emailProved: true, roles: ['user'] })
    const [login] = await log.readStream(`session-${session.sessionId}`)
    expect(login!.data).toMatchObject({ methods: ['registration'] })
  })

  it('is completed by the link as well, and logs in once', async () => {
    const { registrationId } = (await begin()).body
    const token = tokenOf(registrationId)
    const first = await verify({ token })
    expect(first.body.session).not.toBeNull()
    const second = await verify({ token })
    expect([second.status, second.body.userId, second.body.session]).toEqual([200, first.body.userId, null])
  })

  it('leaves no address, name, code, token or hash in the log', async () => {
    const email = newEmail()
    const { registrationId } = (await begin(email, { name: 'Vera Personal' })).body
    const events = [
      ...(await log.readStream(`registration-${registrationId}`)),
      ...(await log.readStream(`challenge-${challengeOf(registrationId)}`)),
    ]
    expect(events.map(({ type }) => type)).toEqual(['registration.begun', 'challenge.issued'])
    const text = JSON.stringify(events.map(({ data }) => data))
    for (const secret of [email, 'Vera', password, codeOf(registrationId), tokenOf(registrationId)])
      expect(text).not.toContain(secret)
  })

  it('that was cut off after the answer or the reservation is completed by the same answer', async () => {
    const { registrationId } = (await begin()).body
    const userId = derivedId('registration-user', registrationId)
    const code = codeOf(registrationId)
    const done = await verify({ registrationId, code })
    expect(done.body.userId).toBe(userId)
    // The same log as a process that was killed leaves it: a prefix of what was appended, on an attempt of its own.
    const steps = ['answered', 'reserved'] as const
    for (const last of steps.keys()) {
      const email = newEmail()
      const other = (await begin(email)).body.registrationId as string
      const otherUser = derivedId('registration-user', other)
      const commandId = derivedId('registration', other)
      const metadata = {
        schemaVersion: 1,
        tenant: 'main',
        commandId: derivedId(commandId, 'reservation'),
        correlationId: 'killed',
        causationId: commandId,
        actor: { type: 'user', id: otherUser },
        occurredAt: new Date().toISOString(),
        source: 'command-service',
      }
      const fact = (type: string, data: object, more: object = {}): NewLogEvent => ({
        id: randomUUID(),
        type,
        data,
        metadata: { ...metadata, ...more },
      })
      const challengeId = challengeOf(other)
      const appends: [string, NewLogEvent, number][] = [
        [
          `challenge-${challengeId}`,
          fact('challenge.answered', { challengeId, purpose: 'verify-email', userId: null }),
          0,
        ],
        [`email-${addressHash(email)}`, fact('email.reserved', { userId: otherUser }), -1],
      ]
      for (const append of appends.slice(0, last + 1)) await log.append(append[0], [append[1]], append[2])
      const { status, body } = await verify({ registrationId: other, code: codeOf(other) })
      expect([steps[last], status, body.userId, body.session === null]).toEqual([steps[last], 200, otherUser, false])
      expect((await logIn(email)).status).toBe(200)
      expect(await typesOf(`user-${otherUser}`)).toEqual(['user.registered'])
    }
  })

  it('bears a few guesses, whoever makes them, and then not even the right code', async () => {
    const { registrationId } = (await begin()).body
    const code = codeOf(registrationId)
    const replies = await Promise.all(
      Array.from({ length: guessesMax * 4 }, () => verify({ registrationId, code: wrong(code) })),
    )
    for (const { status } of replies) expect([401, 409, 429]).toContain(status)
    for (let i = 0; i < guessesMax; i++) await verify({ registrationId, code: wrong(code) })
    expect((await verify({ registrationId, code })).body.code).toBe('challenge-failed')
    const guesses = (await typesOf(`challenge-${challengeOf(registrationId)}`)).filter((t) => t === 'challenge.guessed')
    expect(guesses).toHaveLength(guessesMax)
  })

  it('gets another message, which ends the former one, a bounded number of times', async () => {
    const { registrationId } = (await begin()).body
    const resend = () => service.post('/api/v1/auth/verify-email/resend', { body: { registrationId } })
    expect((await resend()).status).toBe(202)
    expect((await verify({ token: tokenOf(registrationId) })).body.code).toBe('challenge-failed')
    for (let i = 0; i < resendsMax + 2; i++) expect((await resend()).status).toBe(202)
    const types = await typesOf(`registration-${registrationId}`)
    expect(types.filter((type) => type === 'registration.resent')).toHaveLength(resendsMax)
    const { status } = await verify({ registrationId, code: codeOf(registrationId, resendsMax) })
    expect(status).toBe(200)
    const unknown = await service.post('/api/v1/auth/verify-email/resend', { body: { registrationId: randomUUID() } })
    expect(unknown.status).toBe(202)
  })

  it('under an idempotency key is one attempt with one password', async () => {
    const [email, key] = [newEmail(), randomUUID()]
    const first = await begin(email, {}, key)
    expect((await begin(email, {}, key)).body).toEqual(first.body)
    const other = await begin(email, { password: 'another horse battery' }, key)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused'])
    expect(await typesOf(`registration-${first.body.registrationId}`)).toEqual(['registration.begun'])
  })

  it.each([
    ['nothing', {}],
    ['a code alone', { code: '123456' }],
    ['a code that is none', { registrationId: randomUUID(), code: '12345a' }],
    ['a token and more', { token: 'x', userId: randomUUID() }],
  ])('refuses %s as an answer', async (_, body) => {
    expect((await verify(body)).body.code).toBe('invalid-request')
  })

  it('refuses tokens that were not made here, and codes of nobody', async () => {
    for (const body of [
      { token: 'x' },
      { token: `${randomUUID()}.${'A'.repeat(43)}` },
      { registrationId: randomUUID(), code: '123456' },
    ])
      expect((await verify(body)).body.code).toBe('challenge-failed')
  })
})

describe('one address', () => {
  it('becomes one account under 50 attempts in every spelling', async () => {
    const local = randomUUID()
    const spellings = [
      `${local}@bücher.example`,
      `${local.toUpperCase()}@BÜCHER.example`,
      `${local}@xn--bcher-kva.example`,
    ]
    const attempts = await Promise.all(Array.from({ length: 50 }, (_, i) => begin(spellings[i % 3])))
    const begun = attempts.filter(({ status }) => status === 202).map(({ body }) => body.registrationId as string)
    expect(begun.length).toBeGreaterThan(20)
    const replies = await Promise.all(begun.map((registrationId) => verify({ token: tokenOf(registrationId) })))
    const won = replies.filter(({ status }) => status === 200)
    expect(won).toHaveLength(1)
    for (const reply of replies)
      if (reply.status !== 200)
        expect(['registration-superseded', 'too-many-requests', 'overloaded']).toContain(reply.body.code)
    expect(await typesOf(`user-${won[0]!.body.userId}`)).toEqual(['user.registered'])
  }, 60_000)

  it('belongs to the attempt whose mail was answered; a password that somebody set before is worth nothing', async () => {
    const email = newEmail()
    const attacker = (await begin(email, { password: 'attackers own passphrase' })).body.registrationId
    const owner = (await begin(email)).body.registrationId
    expect((await verify({ token: tokenOf(owner) })).status).toBe(200)
    expect((await logIn(email, 'attackers own passphrase')).body.code).toBe('invalid-credentials')
    const late = await verify({ token: tokenOf(attacker) })
    expect([late.status, late.body.code]).toEqual([409, 'registration-superseded'])
    expect((await logIn(email, 'attackers own passphrase')).body.code).toBe('invalid-credentials')
    expect((await logIn(email)).status).toBe(200)
    const { rows } = await database.pool.query(
      'select from subject_key where subject = any($1) and expires_at > now()',
      [[attacker, owner]],
    )
    expect(rows).toEqual([])
  })

  it('that has an account answers and is recorded as a new one is, and no code is right', async () => {
    const taken = newEmail()
    await somebody(open, taken)
    const [known, fresh] = [await begin(taken), await begin()]
    expect(known.status).toBe(fresh.status)
    expect(Object.keys(known.body)).toEqual(Object.keys(fresh.body))
    expect([...known.headers.keys()].toSorted()).toEqual([...fresh.headers.keys()].toSorted())
    const recorded = async (registrationId: string) => [
      await typesOf(`registration-${registrationId}`),
      await typesOf(`challenge-${challengeOf(registrationId)}`),
    ]
    for (const { body } of [known, fresh]) {
      const { registrationId } = body
      const guess = { registrationId, code: wrong(codeOf(registrationId)) }
      expect((await verify(guess)).body.code).toBe('challenge-failed')
    }
    expect(await recorded(known.body.registrationId)).toEqual(await recorded(fresh.body.registrationId))
    const { registrationId } = known.body
    expect((await verify({ registrationId, code: codeOf(registrationId) })).body.code).toBe('challenge-failed')
    expect((await verify({ token: tokenOf(registrationId) })).body.code).toBe('challenge-failed')
    const [issued] = await log.readStream(`challenge-${challengeOf(registrationId)}`)
    expect(issued!.data).toMatchObject({ purpose: 'address-taken', userId: null })
  })

  it('that has an account takes as long as a new one', async () => {
    const taken = newEmail()
    await somebody(open, taken)
    const times: Record<'taken' | 'new', number[]> = { taken: [], new: [] }
    for (let i = 0; i < 200; i++)
      for (const side of i % 2 ? (['taken', 'new'] as const) : (['new', 'taken'] as const)) {
        const email = side === 'taken' ? taken : newEmail()
        const startedAt = performance.now()
        const { status } = await begin(email)
        times[side].push(performance.now() - startedAt)
        expect(status).toBe(202)
      }
    expect(distanceOf(times.taken, times.new)).toBeLessThan(0.27)
  }, 240_000)
})
