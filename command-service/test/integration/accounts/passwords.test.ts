import { generousLimits } from '../../../../dev/stack/generous-limits.mjs'
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { importJWK, SignJWT, decodeJwt, type JWTPayload } from 'jose'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { eventually, testScope, type TestDatabase } from '@annals/platform/testing'
import type { ChallengeSecrets } from '../../../src/accounts/challenge-secrets'
import { challengesOf, secretsOf } from '../../support/challenges'
import { commandDatabase, silent } from '../../support/database'
import { distanceOf, medianOf } from '../../support/distributions'
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

const scope = testScope('file')
const newPassword = 'quite another staple of horses'
let database: TestDatabase
let environment: Environment
let service: TestService
let log: EventLog
let secrets: ChallengeSecrets
let anna: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    TRUSTED_PROXIES: '127.0.0.1',
    RATE_LIMITS: generousLimits({ 'password-reset.account': '5/900', 'authentication.account': '10/900' }),
  })
  service = await startTestService(scope, environment, { BCRYPT_COST: 4 })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  secrets = secretsOf(environment)
})
beforeEach(async () => {
  anna = await somebody(service)
})

let clients = 0
const newClient = () => ({ 'x-forwarded-for': `2001:db8:1:${(clients++).toString(16)}::1` })
const forgot = (email: unknown) =>
  service.post('/api/v1/auth/password/forgot', { body: { email }, headers: newClient() })
const reset = (token: string, wanted = newPassword) =>
  service.post('/api/v1/auth/password/reset', { body: { token, password: wanted }, headers: newClient() })
const change = (person: Person, body: object) =>
  service.send('PUT', '/api/v1/users/me/password', { body, token: person.token, headers: newClient() })
const login = (email: string, given: string) =>
  service.post('/api/v1/auth/login', { body: { email, password: given }, headers: newClient() })
const refresh = (refreshToken: string) =>
  service.post('/api/v1/auth/refresh', { body: { refreshToken }, headers: newClient() })
const stepUp = (token: string, body: unknown) =>
  service.post('/api/v1/auth/step-up', { body, token, headers: newClient() })
const typesOf = async (stream: string) => (await log.readStream(stream)).map(({ type }) => type)
const linksOf = (person: Person) => challengesOf(log, 'password-reset', person.userId)

/** @returns the token of the link that was asked for last, once it is sent. */
async function linkOf(person: Person, links = 1): Promise<string> {
  const ids = await eventually(async () => {
    const found = await linksOf(person)
    expect(found).toHaveLength(links)
    expect(await typesOf(`challenge-${found.at(-1)}`)).toContain('challenge.issued')
    return found
  })
  return secrets.tokenOf(ids.at(-1)!)
}

/** The bearer's token as it would be, had they logged in some time ago. */
async function agedToken({ token }: Person, seconds: number): Promise<string> {
  const claims = decodeJwt(token) as JWTPayload & { auth_time: number }
  const jwk = JSON.parse(environment['JWT_PRIVATE_JWK']!)
  return new SignJWT({ ...claims, auth_time: claims.auth_time - seconds })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: jwk.kid })
    .sign(await importJWK(jwk, 'EdDSA'))
}

describe('a forgotten password', () => {
  it('is answered alike for every address, and mails the one that has an account alone', async () => {
    const replies = [await forgot(anna.email), await forgot(newEmail())]
    for (const { status, body } of replies) expect([status, body]).toEqual([202, ''])
    const names = replies.map(({ headers }) => [...headers.keys()].toSorted())
    expect(names[0]).toEqual(names[1])
    await linkOf(anna)
  })

  it('is set anew by the link, which logs nobody in and ends all sessions', async () => {
    await forgot(anna.email)
    const { status, body, headers } = await reset(await linkOf(anna))
    expect([status, body, headers.get('set-cookie')]).toEqual([204, '', null])
    expect((await refresh(anna.refreshToken)).body.code).toBe('session-ended')
    expect((await login(anna.email, password)).status).toBe(401)
    expect((await login(anna.email, newPassword)).status).toBe(200)
  })

  it('is set once by a link', async () => {
    await forgot(anna.email)
    const token = await linkOf(anna)
    expect((await reset(token)).status).toBe(204)
    expect((await reset(token, `${newPassword} again`)).body.code).toBe('challenge-failed')
    expect((await login(anna.email, newPassword)).status).toBe(200)
  })

  it('is one of those that two set at once by one link', async () => {
    await forgot(anna.email)
    const token = await linkOf(anna)
    const wanted = [1, 2, 3, 4].map((i) => `${newPassword} ${i}`)
    const replies = await Promise.all(wanted.map((each) => reset(token, each)))
    const statuses = replies.map(({ status }) => status)
    expect(statuses.toSorted()).toEqual([204, 401, 401, 401])
    const logins = await Promise.all(wanted.map((each) => login(anna.email, each)))
    expect(logins.map(({ status }) => (status === 200 ? 204 : status))).toEqual(statuses)
    expect((await typesOf(`user-${anna.userId}`)).filter((type) => type === 'user.password_changed')).toHaveLength(1)
  })

  it('takes the latest link only', async () => {
    await forgot(anna.email)
    const first = await linkOf(anna)
    await forgot(anna.email)
    const second = await linkOf(anna, 2)
    expect((await reset(first)).body.code).toBe('challenge-failed')
    expect((await reset(second)).status).toBe(204)
  })

  it('takes no link from before the password was changed', async () => {
    await forgot(anna.email)
    const token = await linkOf(anna)
    expect((await change(anna, { currentPassword: password, newPassword })).status).toBe(200)
    expect((await reset(token)).body.code).toBe('challenge-failed')
  })

  it('keeps the link for whoever chose a password that is refused', async () => {
    await forgot(anna.email)
    const token = await linkOf(anna)
    expect((await reset(token, anna.email)).status).toBe(422)
    expect((await reset(token)).status).toBe(204)
  })

  it('can be set anew while guesses of strangers lock the account, and lets the owner in', async () => {
    await Promise.all(Array.from({ length: 12 }, () => login(anna.email, 'wrong horse battery')))
    expect((await login(anna.email, password)).status).toBe(429)
    await forgot(anna.email)
    const home = newClient()
    const token = await linkOf(anna)
    const body = { token, password: newPassword }
    expect((await service.post('/api/v1/auth/password/reset', { body, headers: home })).status).toBe(204)
    const again = { email: anna.email, password: newPassword }
    expect((await service.post('/api/v1/auth/login', { body: again, headers: home })).status).toBe(200)
  })

  it('ends a session that slipped past it: a login that was proved before, recorded after', async () => {
    await forgot(anna.email)
    const token = await linkOf(anna)
    const [during] = await Promise.all([logIn(service, anna.email).catch(() => undefined), reset(token)])
    if (during) expect((await refresh(during.refreshToken)).body.code).toBe('session-ended')
    expect((await refresh(anna.refreshToken)).body.code).toBe('session-ended')
  })

  it.each([
    ['', 400],
    ['x'.repeat(201), 400],
    ['not-a-token', 401],
    ['00000000-0000-4000-8000-000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 401],
    ['\ud800', 401],
  ])('refuses the token %j', async (token, status) => expect((await reset(token)).status).toBe(status))

  it('sends an address no more than five links in a quarter of an hour, and says so to nobody', async () => {
    for (let i = 0; i < 8; i++) expect((await forgot(anna.email)).status).toBe(202)
    const token = await linkOf(anna, 5)
    // What is asked for after that of another person comes after it as well.
    const berta = await somebody(service)
    await forgot(berta.email)
    await linkOf(berta)
    expect(await linksOf(anna)).toHaveLength(5)
    expect((await reset(token)).status).toBe(204)
  })

  it.each([null, 7, 'no address', ['a@example.com'], { $ne: '' }, `${'a'.repeat(300)}@example.com`])(
    'refuses the address %j',
    async (email) => expect((await forgot(email)).status).toBe(400),
  )
})

describe('the time of an answer', () => {
  /** Samples of each side, and how much of their distance is left to chance: see `distanceOf`. */
  const samples = 200
  const distanceMax = 0.3

  it('does not tell whether an address has an account', async () => {
    const timeOf = async (email: string) => {
      const startedAt = performance.now()
      const { status } = await forgot(email)
      expect(status).toBe(202)
      return performance.now() - startedAt
    }
    // Beyond five an address gets no more links for a while.
    const people = await Promise.all(Array.from({ length: samples / 5 }, () => somebody(service)))
    for (let i = 0; i < 20; i++) await timeOf(newEmail())
    const times = { known: [] as number[], unknown: [] as number[] }
    for (let i = 0; i < samples; i++) {
      // Each side first in half of the rounds: what the one before has left running meets both.
      const round = [
        [times.known, people[i % people.length]!.email],
        [times.unknown, newEmail()],
      ] as const
      for (const [side, email] of i % 2 ? round : round.toReversed()) side.push(await timeOf(email))
    }
    const distance = distanceOf(times.known, times.unknown)
    const [knownMs, unknownMs] = [times.known, times.unknown].map((side) => medianOf(side).toFixed(2))
    if (distance >= distanceMax)
      throw new Error(`told apart: known ${knownMs} ms, unknown ${unknownMs} ms, D ${distance.toFixed(2)}`)
    // There was work for every one of them.
    for (const person of people)
      await eventually(async () => expect(await linksOf(person)).toHaveLength(5), { withinMs: 60_000 })
  }, 120_000)
})

describe('changing the password', () => {
  it('keeps the session that did it, and ends the others', async () => {
    const elsewhere = await logIn(service, anna.email)
    const { status, body } = await change(anna, { currentPassword: password, newPassword })
    expect([status, typeof body.consistencyToken]).toEqual([200, 'string'])
    expect((await refresh(anna.refreshToken)).status).toBe(200)
    expect((await refresh(elsewhere.refreshToken)).body.code).toBe('session-ended')
    expect((await login(anna.email, password)).status).toBe(401)
    expect((await login(anna.email, newPassword)).status).toBe(200)
  })

  it('asks for the current one, however fresh the session is', async () => {
    for (const body of [{ newPassword }, { currentPassword: 'wrong horse battery', newPassword }])
      expect((await change(anna, body)).body.code).toBe('invalid-credentials')
    expect((await login(anna.email, password)).status).toBe(200)
  })

  it('counts guesses at the current one like those of a login', async () => {
    const replies = await Promise.all(
      Array.from({ length: 15 }, () => change(anna, { currentPassword: 'wrong horse battery', newPassword })),
    )
    const codes = new Set(replies.map(({ body }) => body.code))
    expect(codes).toEqual(new Set(['invalid-credentials', 'too-many-requests']))
  })

  it('is one of those that are made at once', async () => {
    const wanted = [1, 2, 3].map((i) => `${newPassword} ${i}`)
    const replies = await Promise.all(
      wanted.map((each) => change(anna, { currentPassword: password, newPassword: each })),
    )
    const done = replies.filter(({ status }) => status === 200)
    expect(done).toHaveLength(1)
    for (const { status } of replies) expect([200, 401, 409]).toContain(status)
    const inForce = wanted[replies.indexOf(done[0]!)]!
    expect((await login(anna.email, inForce)).status).toBe(200)
  })

  it('is refused to a token that a reset has made worthless', async () => {
    await forgot(anna.email)
    await reset(await linkOf(anna))
    const { body } = await change(anna, { currentPassword: newPassword, newPassword: 'a thief would choose this' })
    expect(body.code).toBe('session-ended')
  })

  it.each([{}, { newPassword: 'short' }, { newPassword: 7 }, { newPassword, roles: ['admin'] }, []])(
    'refuses the body %j',
    async (body) => expect((await change(anna, body)).status).toBe(400),
  )
})

describe('showing again who one is', () => {
  it('brings an access token that is fresh, and leaves the refresh token in force', async () => {
    const { status, body } = await stepUp(await agedToken(anna, 3_600), { password })
    expect(status).toBe(200)
    expect(body).not.toHaveProperty('refreshToken')
    expect(Date.now() - Date.parse(body.authenticatedAt)).toBeLessThan(60_000)
    expect(decodeJwt(body.accessToken)).toMatchObject({
      sub: anna.userId,
      sid: anna.sessionId,
      auth_time: Math.floor(Date.parse(body.authenticatedAt) / 1000),
    })
    expect((await refresh(anna.refreshToken)).status).toBe(200)
    expect(await typesOf(`session-${anna.sessionId}`)).toEqual([
      'user.login',
      'session.stepped_up',
      'session.refreshed',
    ])
  })

  it('is what a change of the address asks for, and names where', async () => {
    const old = await agedToken(anna, 301)
    const ask = (token: string) =>
      service.post('/api/v1/users/me/email', { body: { email: newEmail() }, token, headers: newClient() })
    const { status, body, headers } = await ask(old)
    expect(status).toBe(403)
    expect(body).toMatchObject({
      code: 'authentication-too-old',
      stepUp: '/api/v1/auth/step-up',
      maxAgeSeconds: 300,
    })
    expect(headers.get('www-authenticate')).toContain('insufficient_user_authentication')
    const { accessToken } = (await stepUp(old, { password })).body
    expect((await ask(accessToken)).status).toBe(202)
  })

  it('stays true over a refresh, and gets no newer by it', async () => {
    const { authenticatedAt } = (await stepUp(anna.token, { password })).body
    const { accessToken } = (await refresh(anna.refreshToken)).body
    expect(decodeJwt(accessToken)['auth_time']).toBe(Math.floor(Date.parse(authenticatedAt) / 1000))
  })

  it('counts guesses like those of a login', async () => {
    const replies = await Promise.all(
      Array.from({ length: 15 }, () => stepUp(anna.token, { password: 'wrong horse battery' })),
    )
    const codes = new Set(replies.map(({ body }) => body.code))
    expect(codes).toEqual(new Set(['invalid-credentials', 'too-many-requests']))
    expect(await typesOf(`session-${anna.sessionId}`)).toEqual(['user.login'])
  })

  it('is refused to a session that has ended', async () => {
    await service.post('/api/v1/auth/logout', { token: anna.token })
    expect((await stepUp(anna.token, { password })).body.code).toBe('session-ended')
  })

  it.each([{}, { password: '' }, { password: 7 }, { password, factor: 'none' }, null])(
    'refuses the body %j',
    async (body) => expect((await stepUp(anna.token, body)).status).toBe(400),
  )
})
