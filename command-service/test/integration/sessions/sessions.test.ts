import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { createRemoteJWKSet, jwtVerify, SignJWT, importJWK } from 'jose'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { createRedis } from '@annals/platform/redis'
import { eventually, testScope, type TestDatabase } from '@annals/platform/testing'
import { refreshGraceMs } from '../../../src/sessions/domain/session'
import { createRefreshTokens } from '../../../src/sessions/refresh-tokens'
import { layWire, type CuttableWire } from '../../support/cuttable-wire'
import { commandDatabase, silent } from '../../support/database'
import {
  logIn,
  newEmail,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Environment,
  type Person,
  type TestService,
} from '../../support/service'

import { generousLimits } from '../../../../dev/stack/generous-limits.mjs'

const scope = testScope('file')
let database: TestDatabase
let environment: Environment
let service: TestService
let log: EventLog
let anna: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    TRUSTED_PROXIES: '127.0.0.1',
    RATE_LIMITS: generousLimits({ 'authentication.account': '3/900' }),
  })
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  anna = await somebody(service)
})

const login = (body: unknown, ip = '192.0.2.1', through = service) =>
  through.post('/api/v1/auth/login', { body, headers: { 'x-forwarded-for': ip } })
const refresh = (refreshToken: string, through = service) =>
  through.post('/api/v1/auth/refresh', { body: { refreshToken } })
const logout = (token: string, through = service) => through.post('/api/v1/auth/logout', { token })
const validate = (token: string | undefined, through = service) =>
  through.get('/api/v1/auth/validate', token ? { token } : {})
const eventsOf = async (sessionId: string) => (await log.readStream(`session-${sessionId}`)).map(({ type }) => type)
/** An address from whose network nothing has come yet. */
const newIp = () => `2001:db8:${randomUUID().slice(0, 4)}:${randomUUID().slice(0, 4)}::1`

describe('logging in', () => {
  it('begins a session and hands out tokens that no cache keeps', async () => {
    const { status, body, headers } = await login({ email: anna.email, password }, newIp())
    expect(status).toBe(200)
    expect(body).toMatchObject({ tokenType: 'Bearer', expiresIn: 900, userId: anna.userId })
    expect(headers.get('cache-control')).toBe('no-store')
    expect(await eventsOf(body.sessionId)).toEqual(['user.login'])
  })

  it('signs access tokens that the published keys check', async () => {
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', service.url))
    const { payload, protectedHeader } = await jwtVerify(anna.token, keys, {
      issuer: 'http://annals.test',
      audience: 'annals',
    })
    expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: 'at+jwt' })
    expect(payload).toMatchObject({ sub: anna.userId, sid: anna.sessionId, roles: ['user'] })
    expect(payload.exp! - payload.iat!).toBe(900)
  })

  it('publishes no private part of its keys', async () => {
    const { body } = await service.get('/.well-known/jwks.json')
    expect(body.keys).toHaveLength(1)
    expect(Object.keys(body.keys[0]).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  })

  it('says the same for a wrong password and for an unknown address, after the same time', async () => {
    const known = await somebody(service)
    const startedAt = performance.now()
    const wrong = await login({ email: known.email, password: 'wrong horse battery' }, newIp())
    const between = performance.now()
    const unknown = await login({ email: newEmail(), password }, newIp())
    const endedAt = performance.now()
    for (const { status, body, headers } of [wrong, unknown]) {
      expect([status, body.code, headers.get('www-authenticate')]).toEqual([401, 'invalid-credentials', 'Bearer'])
    }
    const { correlationId: _1, ...wrongSaid } = wrong.body
    const { correlationId: _2, ...unknownSaid } = unknown.body
    expect(unknownSaid).toEqual(wrongSaid)
    // A comparison of cost 10 takes some 60 ms; without it the answer would be there in a few.
    expect(endedAt - between).toBeGreaterThan((between - startedAt) / 4)
  })

  it('lets an address be tried a few times only, from wherever it comes', async () => {
    const { email } = await somebody(service)
    for (let i = 0; i < 3; i++) expect((await login({ email, password: 'wrong horse' }, newIp())).status).toBe(401)
    const { status, body, headers } = await login({ email, password }, newIp())
    expect([status, body.code]).toEqual([429, 'too-many-requests'])
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(800)
  })

  it('does not count what succeeds as a failure of the account', async () => {
    const ip = newIp()
    for (let i = 0; i < 8; i++) expect((await login({ email: anna.email, password }, ip)).status).toBe(200)
  })

  it('counts guesses that come at the same time', async () => {
    const { email } = await somebody(service)
    const guesses = await Promise.all(Array.from({ length: 6 }, () => login({ email, password: 'wrong' }, newIp())))
    expect(guesses.filter(({ status }) => status === 401)).toHaveLength(3)
    expect(guesses.filter(({ status }) => status === 429)).toHaveLength(3)
  })
})

describe('an access token', () => {
  it('is valid while its session lasts', async () => {
    const { status, body } = await validate(anna.token)
    expect(status).toBe(200)
    expect(body).toMatchObject({ active: true, userId: anna.userId, sessionId: anna.sessionId, roles: ['user'] })
    const inSeconds = (Date.parse(body.expiresAt) - Date.now()) / 1000
    expect(inSeconds).toBeGreaterThan(800)
  })

  it('is refused when it is missing, changed, or of another scheme', async () => {
    const [head, claims, signature] = anna.token.split('.')
    const forged = Buffer.from(JSON.stringify({ sub: anna.userId, roles: ['admin'] })).toString('base64url')
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url')
    for (const token of [undefined, 'x', `${head}.${forged}.${signature}`, `${none}.${claims}.`]) {
      const { status, body, headers } = await validate(token)
      expect([status, body.code, headers.get('www-authenticate')]).toEqual([401, 'unauthenticated', 'Bearer'])
    }
    const basic = await service.get('/api/v1/auth/validate', { headers: { authorization: 'Basic YTpi' } })
    expect(basic.status).toBe(401)
  })

  it('is refused when it was signed for another audience, has expired, or is no access token', async () => {
    const key = await importJWK(JSON.parse(environment['JWT_PRIVATE_JWK']!), 'EdDSA')
    const sign = (audience: string, typ: string, expiry: string) =>
      new SignJWT({
        sid: anna.sessionId,
        roles: ['user'],
        permissions: [],
        epoch: 1,
        auth_time: Math.floor(Date.now() / 1000),
      })
        .setProtectedHeader({ alg: 'EdDSA', typ })
        .setIssuer('http://annals.test')
        .setAudience(audience)
        .setSubject(anna.userId)
        .setIssuedAt()
        .setExpirationTime(expiry)
        .sign(key)
    expect((await validate(await sign('annals', 'at+jwt', '1m'))).status).toBe(200)
    expect((await validate(await sign('others', 'at+jwt', '1m'))).status).toBe(401)
    expect((await validate(await sign('annals', 'JWT', '1m'))).status).toBe(401)
    expect((await validate(await sign('annals', 'at+jwt', '1m ago'))).status).toBe(401)
  })
})

describe('a refresh token', () => {
  it('brings new tokens of the same session', async () => {
    const { refreshToken, sessionId } = await logIn(service, anna.email)
    const { status, body } = await refresh(refreshToken)
    expect(status).toBe(200)
    expect(body.sessionId).toBe(sessionId)
    expect(body.refreshToken).not.toBe(refreshToken)
    expect((await validate(body.accessToken)).status).toBe(200)
    expect(await eventsOf(sessionId)).toEqual(['user.login', 'session.refreshed'])
  })

  it('answers the same next token when its answer was lost', async () => {
    const { refreshToken, sessionId } = await logIn(service, anna.email)
    const first = await refresh(refreshToken)
    const second = await refresh(refreshToken)
    expect(second.status).toBe(200)
    expect(second.body.refreshToken).toBe(first.body.refreshToken)
    expect(await eventsOf(sessionId)).toEqual(['user.login', 'session.refreshed'])
  })

  it('answers many uses at once with one next token', async () => {
    const { refreshToken, sessionId } = await logIn(service, anna.email)
    const replies = await Promise.all(Array.from({ length: 8 }, () => refresh(refreshToken)))
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    expect(new Set(replies.map(({ body }) => body.refreshToken)).size).toBe(1)
    expect(await eventsOf(sessionId)).toEqual(['user.login', 'session.refreshed'])
  })

  it('that was used before the last one ends the session for whoever holds its tokens', async () => {
    const stolen = await logIn(service, anna.email)
    const first = await refresh(stolen.refreshToken)
    const second = await refresh(first.body.refreshToken)
    const reuse = await refresh(stolen.refreshToken)
    expect([reuse.status, reuse.body.code]).toEqual([401, 'session-ended'])
    expect((await refresh(second.body.refreshToken)).body.code).toBe('session-ended')
    expect((await validate(second.body.accessToken)).body.code).toBe('session-ended')
    const events = await log.readStream(`session-${stolen.sessionId}`)
    expect(events.at(-1)).toMatchObject({ type: 'session.ended', data: { reason: 'refresh-token-reused' } })
  })

  it(
    'that was used ends the session when it comes back after the grace',
    async () => {
      const { refreshToken, sessionId } = await logIn(service, anna.email)
      await refresh(refreshToken)
      const usedAt = Date.now()
      // Nothing to wait for but time itself: the grace is a promise in seconds.
      await eventually(
        () => {
          if (Date.now() < usedAt + refreshGraceMs + 200) throw new Error('the grace is not over')
        },
        { withinMs: refreshGraceMs + 5_000 },
      )
      expect((await refresh(refreshToken)).body.code).toBe('session-ended')
      expect(await eventsOf(sessionId)).toEqual(['user.login', 'session.refreshed', 'session.ended'])
    },
    refreshGraceMs + 20_000,
  )

  it('is exchanged a few times only within a time, whoever holds it and from wherever', async () => {
    const limits = generousLimits({ 'refresh.family': '10/900' })
    const few = await startTestService(scope, { ...environment, RATE_LIMITS: limits })
    const { refreshToken } = await logIn(few, anna.email)
    const uses = await Promise.all(
      Array.from({ length: 30 }, () =>
        few.post('/api/v1/auth/refresh', { body: { refreshToken }, headers: { 'x-forwarded-for': newIp() } }),
      ),
    )
    expect(uses.filter(({ status }) => status === 200)).toHaveLength(10)
    const { status, headers, body } = uses.find((use) => use.status !== 200)!
    expect([status, body.code]).toEqual([429, 'too-many-requests'])
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(800)
    const other = await logIn(few, anna.email)
    expect((await refresh(other.refreshToken, few)).status).toBe(200)
    await few.close()
  })

  it('is refused when it was not made with our key', async () => {
    const { sessionId } = await logIn(service, anna.email)
    const forger = createRefreshTokens(Buffer.alloc(32, 1), 'main')
    for (const token of [forger.issue(sessionId, 1), 'nonsense', `${sessionId}.1.`]) {
      const { status, body } = await refresh(token)
      expect([status, body.code]).toEqual([401, 'invalid-refresh-token'])
    }
    expect(await eventsOf(sessionId)).toEqual(['user.login'])
  })

  it('of another tenant is refused', async () => {
    const { sessionId } = await logIn(service, anna.email)
    const elsewhere = createRefreshTokens(Buffer.from(environment['REFRESH_TOKEN_KEY']!, 'base64'), 'other')
    expect((await refresh(elsewhere.issue(sessionId, 1))).body.code).toBe('invalid-refresh-token')
  })
})

describe('logging out', () => {
  it('ends the session: no token of it is good for anything any more', async () => {
    const { token, refreshToken, sessionId } = await logIn(service, anna.email)
    expect((await logout(token)).status).toBe(204)
    expect((await validate(token)).body.code).toBe('session-ended')
    expect((await refresh(refreshToken)).body.code).toBe('session-ended')
    expect((await logout(token)).body.code).toBe('session-ended')
    expect(await eventsOf(sessionId)).toEqual(['user.login', 'session.ended'])
  })

  it('is known to other processes', async () => {
    const other = await startTestService(scope, environment)
    try {
      const { token } = await logIn(service, anna.email)
      await logout(token)
      expect((await validate(token, other)).body.code).toBe('session-ended')
    } finally {
      await other.close()
    }
  })

  it('leaves other sessions of the same person alone', async () => {
    const { token } = await logIn(service, anna.email)
    await logout(token)
    expect((await validate(anna.token)).status).toBe(200)
  })
})

describe('while Redis does not answer', () => {
  let wire: CuttableWire
  let cut: TestService

  beforeAll(async () => {
    wire = await layWire(scope, environment['REDIS_URL']!)
    cut = await startTestService(scope, { ...environment, REDIS_URL: wire.url })
  })

  it('sessions go on, the log says which have ended, and Redis learns of them when it is back', async () => {
    const ended = await logIn(cut, anna.email)
    wire.cut()
    const alive = await logIn(cut, anna.email)
    expect((await validate(alive.token, cut)).status).toBe(200)
    expect((await logout(ended.token, cut)).status).toBe(204)
    expect((await validate(ended.token, cut)).body.code).toBe('session-ended')
    expect((await refresh(alive.refreshToken, cut)).status).toBe(200)
    expect(await cut.isReady()).toBe(true)
    expect(await cut.metrics()).toMatch(
      /annals_command_redis_skipped_total\{purpose="revocation",service="command-service"\} [1-9]/,
    )

    // The other process asks Redis itself, which learns of it now.
    wire.mend()
    await eventually(async () => expect((await validate(ended.token)).body.code).toBe('session-ended'))
  })
})

describe('a Redis that has forgotten', () => {
  // A numbered database of its own: it is emptied here.
  it('is told of every session that has ended, by the log, and believed again', async () => {
    const ofItsOwn = { ...environment, REDIS_URL: `${environment['REDIS_URL']}/13` }
    const redis = createRedis(ofItsOwn.REDIS_URL, silent)
    const forgetful = await startTestService(scope, ofItsOwn)
    try {
      await eventually(() => expect(redis.status).toBe('ready'))
      const [ended, alive] = [await logIn(forgetful, anna.email), await logIn(forgetful, anna.email)]
      await logout(ended.token, forgetful)
      expect(await redis.exists(`revoked:${ended.sessionId}`)).toBe(1)
      await redis.flushdb()
      expect((await validate(ended.token, forgetful)).body.code).toBe('session-ended')
      // Every request that Redis could not answer has it told, until it knows.
      // It goes through all that the log holds: other tests' sessions as well.
      await eventually(
        async () => {
          expect((await validate(alive.token, forgetful)).status).toBe(200)
          expect(await redis.exists('revoked:memory')).toBe(1)
        },
        { withinMs: 60_000 },
      )
      expect(await redis.exists(`revoked:${ended.sessionId}`)).toBe(1)
      expect(await redis.exists(`revoked:${alive.sessionId}`)).toBe(0)
    } finally {
      await forgetful.close()
      redis.disconnect()
    }
  }, 90_000)
})
