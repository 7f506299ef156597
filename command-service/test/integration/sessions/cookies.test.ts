import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { parseSetCookie } from 'cookie'
import { sessionCookies } from '@annals/platform/api'
import { testScope } from '@annals/platform/testing'
import { commandDatabase } from '../../support/database'
import {
  newEmail,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Person,
  type Reply,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
const page = 'https://app.example.org'
const fromPage = { origin: page, 'sec-fetch-site': 'same-site' }
const asCookies = { ...fromPage, 'token-delivery': 'cookie' }

/** With cookies, and without. */
let service: TestService
let plain: TestService
let anna: Person

beforeAll(async () => {
  const environment = testEnvironment({
    COMMAND_DATABASE_URL: (await scope.database(commandDatabase)).url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    CORS_ORIGINS: page,
    CSRF_KEY: randomBytes(32).toString('base64'),
  })
  service = await startTestService(scope, { ...environment, COOKIE_MODE: 'on' })
  plain = await startTestService(scope, environment)
  anna = await somebody(service)
})

const login = (headers: Record<string, string>, through = service) =>
  through.post('/api/v1/auth/login', { body: { email: anna.email, password }, headers })
const refresh = (headers: Record<string, string>, body = {}) => service.post('/api/v1/auth/refresh', { body, headers })
const logout = (headers: Record<string, string>) => service.post('/api/v1/auth/logout', { headers })
const validate = (cookie: string) => service.get('/api/v1/auth/validate', { headers: { cookie } })

/** What a browser would send back. */
const keptOf = ({ headers }: Reply): string =>
  headers
    .getSetCookie()
    .map((line) => parseSetCookie(line))
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
const only = (kept: string, name: string) => kept.split('; ').find((pair) => pair.startsWith(name))!

describe('a login for cookies', () => {
  it('hands out tokens that no script can read, and a proof', async () => {
    const reply = await login(asCookies)
    expect(reply.status).toBe(200)
    expect(Object.keys(reply.body).toSorted()).toEqual(
      ['consistencyToken', 'csrfToken', 'expiresIn', 'sessionId', 'tokenType', 'userId'].toSorted(),
    )
    const set = reply.headers.getSetCookie().map((line) => parseSetCookie(line))
    expect(set).toEqual([
      expect.objectContaining({ name: sessionCookies.access, maxAge: 900 }),
      expect.objectContaining({ name: sessionCookies.refresh, maxAge: 30 * 86_400 }),
    ])
    for (const cookie of set) {
      expect(cookie).toMatchObject({ secure: true, httpOnly: true, sameSite: 'strict', path: '/' })
      expect(cookie.domain).toBeUndefined()
      expect(JSON.stringify(reply.body)).not.toContain(cookie.value)
    }
    expect((await validate(keptOf(reply))).body).toMatchObject({ active: true, sessionId: reply.body.sessionId })
  })

  it.each([
    ['another page', { origin: 'https://evil.org', 'sec-fetch-site': 'cross-site' }],
    ['a page that looks like it', { origin: `${page}.evil.org` }],
    ['a page without an origin', { origin: 'null' }],
    ['nobody knows where', {}],
  ])('is refused to %s, before the password is looked at', async (_, from) => {
    const reply = await login({ ...(from as Record<string, string>), 'token-delivery': 'cookie' })
    expect([reply.status, reply.body.code, reply.headers.getSetCookie()]).toEqual([403, 'cross-site-refused', []])
  })

  it('is no login in a body, and the other way round', async () => {
    for (const headers of [fromPage, { ...fromPage, 'token-delivery': 'body' }]) {
      const reply = await login(headers)
      expect([reply.body.tokenType, reply.headers.getSetCookie()]).toEqual(['Bearer', []])
    }
    expect((await login({ 'token-delivery': 'both' })).status).toBe(400)
  })

  it('is refused where cookies are off', async () => {
    const { status, body } = await login(asCookies, plain)
    expect([status, body.errors]).toEqual([400, [expect.objectContaining({ pointer: '/headers/token-delivery' })]])
    const kept = keptOf(await login(asCookies))
    expect((await plain.get('/api/v1/auth/validate', { headers: { cookie: kept } })).body.code).toBe('unauthenticated')
  })
})

describe('a refresh by cookie', () => {
  it('brings new cookies, and the proof that a page has lost', async () => {
    const first = await login(asCookies)
    const second = await refresh({ ...asCookies, cookie: only(keptOf(first), sessionCookies.refresh) })
    expect(second.status).toBe(200)
    expect(second.body).toMatchObject({ tokenType: 'Cookie', csrfToken: first.body.csrfToken })
    expect(only(keptOf(second), sessionCookies.refresh)).not.toBe(only(keptOf(first), sessionCookies.refresh))
    expect((await validate(keptOf(second))).status).toBe(200)
  })

  it('never hands a token to a script', async () => {
    const kept = keptOf(await login(asCookies))
    for (const delivery of [{}, { 'token-delivery': 'body' }]) {
      const { status, body } = await refresh({ ...fromPage, ...delivery, cookie: kept } as Record<string, string>)
      expect([status, body.errors[0].pointer]).toEqual([400, '/body/refreshToken'])
    }
  })

  it('is refused to another page, and to one without the header that asks a preflight', async () => {
    const kept = keptOf(await login(asCookies))
    for (const origin of ['https://evil.org', 'null', `${page}:444`])
      expect((await refresh({ ...asCookies, origin, cookie: kept })).body.code).toBe('cross-site-refused')
    expect((await refresh({ ...fromPage, cookie: kept })).status).toBe(400)
  })
})

describe('a logout by cookie', () => {
  it('needs the proof, ends the session, and makes the browser forget', async () => {
    const session = await login(asCookies)
    const cookie = keptOf(session)
    const stranger = await somebody(service, newEmail())
    const strangers = await service.post('/api/v1/auth/login', {
      body: { email: stranger.email, password },
      headers: asCookies,
    })
    for (const wrong of [{}, { 'csrf-token': strangers.body.csrfToken }])
      expect((await logout({ ...fromPage, cookie, ...wrong } as Record<string, string>)).body.code).toBe(
        'cross-site-refused',
      )
    expect((await validate(cookie)).status).toBe(200)

    const reply = await logout({ ...fromPage, cookie, 'csrf-token': session.body.csrfToken })
    expect(reply.status).toBe(204)
    expect(reply.headers.getSetCookie().map((line) => parseSetCookie(line))).toEqual(
      Object.values(sessionCookies).map((name) => expect.objectContaining({ name, value: '', maxAge: 0, path: '/' })),
    )
    expect((await validate(cookie)).body.code).toBe('session-ended')
  })

  it('by a header clears no cookies of another session', async () => {
    const { body } = await login({})
    const reply = await service.post('/api/v1/auth/logout', { token: body.accessToken, headers: fromPage })
    expect([reply.status, reply.headers.getSetCookie()]).toEqual([204, []])
  })
})
