import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { Registry } from 'prom-client'
import { z } from 'zod'
import {
  browserRulesOf,
  createApi,
  csrfProof,
  HttpProblem,
  routeDefiner,
  sessionCookies,
  type BrowserRules,
} from '@annals/platform/api'
import { noLimits } from '@annals/platform/rate-limit'
import { createLogger } from '@annals/platform/log'

interface Types {
  permission: 'public' | 'own'
  principal: { name: string }
  problem: 'refused'
  rateLimit: 'none'
}
const define = routeDefiner<Types, undefined>()
const common = { summary: '', tag: 't', permission: 'own', rateLimit: 'none', problems: [] } as const
const routes = [
  define({
    ...common,
    operationId: 'read',
    method: 'GET',
    path: '/things/:id',
    response: { status: 200, schema: z.object({ name: z.string(), isByCookie: z.boolean() }) },
    handle: async ({ principal, browser }) => ({
      body: { ...principal, isByCookie: browser?.isByCookie ?? false },
      headers: { etag: '"1"' },
    }),
  }),
  define({
    ...common,
    operationId: 'write',
    method: 'PUT',
    path: '/things/:id',
    headers: z.object({ 'if-match': z.string().optional() }),
    body: z.strictObject({}),
    response: { status: 204 },
    handle: async () => ({ headers: { 'set-cookie': ['a=1', 'b=2'] } }),
  }),
  define({
    ...common,
    operationId: 'peek',
    method: 'POST',
    path: '/peeks',
    permission: 'public',
    response: { status: 200, schema: z.object({ refresh: z.string().nullable() }) },
    handle: async ({ browser }) => ({ body: { refresh: browser?.cookie(sessionCookies.refresh) ?? null } }),
  }),
]
const problems = {
  'invalid-request': { status: 400, title: 'Invalid' },
  unauthenticated: { status: 401, title: 'Who are you?' },
  forbidden: { status: 403, title: 'Not for you' },
  'cross-site-refused': { status: 403, title: 'Not from there' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'Not allowed' },
  'internal-error': { status: 500, title: 'Broken' },
}

const csrfKey = Buffer.alloc(32, 7)
const page = 'https://app.example.org'
const withCookies: BrowserRules = { hstsSeconds: 60, origins: new Set([page]), cookies: { csrfKey } }

const apiWith = (browsers?: BrowserRules): FastifyInstance =>
  createApi({
    log: createLogger('test', 'silent'),
    metrics: new Registry(),
    problems,
    problemType: (code) => `urn:test:${code}`,
    toProblem: () => undefined,
    routes,
    deps: undefined,
    ...(browsers ? { browsers } : {}),
    access: {
      async authenticate(authorization) {
        const name = /^Bearer (\w+)$/.exec(authorization ?? '')?.[1]
        if (!name) throw new HttpProblem('unauthenticated')
        return { name }
      },
      permits: () => true,
      sessionOf: ({ name }) => (name === 'robot' ? undefined : `session of ${name}`),
      userOf: ({ name }) => name,
    },
    limits: noLimits,
  })

let plain: FastifyInstance
let shared: FastifyInstance
let cookies: FastifyInstance
beforeAll(() => {
  plain = apiWith()
  shared = apiWith({ hstsSeconds: 0, origins: new Set([page, 'http://localhost:5173']) })
  cookies = apiWith(withCookies)
})
afterAll(() => Promise.all([plain, shared, cookies].map((app) => app.close())))

const lookAlikes = [
  'https://app.example.org.evil.org',
  'https://evil.org/https://app.example.org',
  'https://app.example.org:444',
  'https://app.example.org:443',
  'https://app.example.org/',
  'http://app.example.org',
  'https://APP.example.org',
  'HTTPS://app.example.org',
  'https://appXexample.org',
  'https://evil-app.example.org',
  'https://x.app.example.org',
  'https://app.example.org.',
  'https://app.example.org@evil.org',
  'https://app.example.org, https://evil.org',
  'null',
  '*',
  '',
]

describe('a page of another origin', () => {
  const corsOf = (headers: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')))

  it('that is on the list reads answers, refusals among them, and no cookie with them', async () => {
    for (const [url, status] of [
      ['/things/1', 200],
      ['/nothing', 404],
      ['/things/%ZZ', 400],
    ] as const) {
      const reply = await shared.inject({ url, headers: { origin: page, authorization: 'Bearer ada' } })
      expect([reply.statusCode, reply.headers['access-control-allow-origin'], reply.headers['vary']]).toEqual([
        status,
        page,
        'Origin',
      ])
      expect(reply.headers['access-control-allow-credentials']).toBeUndefined()
      expect(reply.headers['access-control-expose-headers']).toContain('ETag')
    }
  })

  it.each(lookAlikes)('is not on the list because it looks like one: %p', async (origin) => {
    for (const method of ['GET', 'OPTIONS'] as const) {
      const headers = { origin, authorization: 'Bearer ada', 'access-control-request-method': 'GET' }
      const reply = await shared.inject({ method, url: '/things/1', headers })
      expect(corsOf(reply.headers)).toEqual({})
      expect(reply.headers['vary']).toBe('Origin')
    }
  })

  it('is told by a preflight what this path takes', async () => {
    const headers = { origin: page, 'access-control-request-method': 'PUT' }
    const reply = await shared.inject({ method: 'OPTIONS', url: '/things/1', headers })
    expect([reply.statusCode, reply.body]).toEqual([204, ''])
    expect(reply.headers['allow']).toBe('GET, HEAD, PUT, OPTIONS')
    expect(corsOf(reply.headers)).toMatchObject({
      'access-control-allow-origin': page,
      'access-control-allow-methods': 'GET, HEAD, PUT, OPTIONS',
      'access-control-allow-headers': 'authorization, content-type, x-correlation-id, if-match',
      'access-control-max-age': '600',
    })
    const nowhere = await shared.inject({ method: 'OPTIONS', url: '/nothing', headers })
    expect([nowhere.statusCode, nowhere.headers['access-control-allow-methods']]).toEqual([404, undefined])
  })

  it('is let in nowhere by default', async () => {
    const reply = await plain.inject({ url: '/things/1', headers: { origin: page, authorization: 'Bearer ada' } })
    expect([reply.statusCode, corsOf(reply.headers), reply.headers['vary']]).toEqual([200, {}, undefined])
  })
})

describe('OPTIONS', () => {
  it('says which methods a path has', async () => {
    const { statusCode, headers } = await plain.inject({ method: 'OPTIONS', url: '/peeks' })
    expect([statusCode, headers['allow']]).toEqual([204, 'POST, OPTIONS'])
  })
})

describe('strict transport security', () => {
  it.each([
    ['a year by default', () => plain, 'max-age=31536000; includeSubDomains'],
    ['as long as was set', () => cookies, 'max-age=60; includeSubDomains'],
    ['not at all', () => shared, undefined],
  ])('is asked for %s', async (_, app, expected) => {
    expect((await app().inject('/nothing')).headers['strict-transport-security']).toBe(expected)
  })
})

describe('an access token in a cookie', () => {
  const cookie = `${sessionCookies.access}=ada`
  const proof = csrfProof(csrfKey, 'session of ada')
  const own = { cookie, origin: page, 'sec-fetch-site': 'same-site', 'csrf-token': proof }
  const ask = async (app: FastifyInstance, options: InjectOptions) => {
    const reply = await app.inject({ url: '/things/1', ...options })
    return { ...reply, code: reply.statusCode < 400 || reply.body === '' ? reply.statusCode : reply.json().code }
  }
  const write = (headers: Record<string, string>) => ask(cookies, { method: 'PUT', headers, payload: {} })

  it('says who asks', async () => {
    const reply = await ask(cookies, { headers: { cookie: `theme=dark; ${cookie}; x=y` } })
    expect(JSON.parse(reply.body)).toEqual({ name: 'ada', isByCookie: true })
    expect((await write(own)).code).toBe(204)
    expect((await write({ ...own, 'sec-fetch-site': 'same-origin' })).code).toBe(204)
  })

  it('is passed over where cookies are off', async () => {
    for (const app of [plain, shared]) expect((await ask(app, { headers: own })).code).toBe('unauthenticated')
  })

  it('gives way to a header', async () => {
    const reply = await ask(cookies, { headers: { ...own, authorization: 'Bearer eve' } })
    expect(JSON.parse(reply.body)).toEqual({ name: 'eve', isByCookie: false })
    expect((await ask(cookies, { headers: { ...own, authorization: 'Basic x' } })).code).toBe('unauthenticated')
  })

  it('lets its page read with credentials, and nobody else', async () => {
    const { headers } = await ask(cookies, { headers: own })
    expect(headers['access-control-allow-credentials']).toBe('true')
    const preflight = await ask(cookies, {
      method: 'OPTIONS',
      headers: { origin: page, 'access-control-request-method': 'PUT' },
    })
    expect(preflight.headers['access-control-allow-headers']).toContain('csrf-token')
    const foreign = await ask(cookies, { headers: { origin: 'https://evil.org' } })
    expect(foreign.headers['access-control-allow-credentials']).toBeUndefined()
  })

  it.each(lookAlikes)('changes nothing for a page of %p', async (origin) => {
    for (const site of [{}, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'cross-site' }]) {
      const { 'sec-fetch-site': _, ...rest } = own
      expect((await write({ ...rest, ...site, origin })).code).toBe('cross-site-refused')
    }
  })

  const without = (name: keyof typeof own) =>
    Object.fromEntries(Object.entries(own).filter(([other]) => other !== name))
  it.each([
    ['no origin', without('origin')],
    ['neither origin nor fetch metadata', { cookie, 'csrf-token': proof }],
    ['no proof', without('csrf-token')],
    ['the proof of another session', { ...own, 'csrf-token': csrfProof(csrfKey, 'session of eve') }],
    ['a proof made with another key', { ...own, 'csrf-token': csrfProof(Buffer.alloc(32), 'session of ada') }],
    ['a proof cut short', { ...own, 'csrf-token': proof.slice(0, -1) }],
    ['an empty proof', { ...own, 'csrf-token': '' }],
    ['a page of another site', { ...own, 'sec-fetch-site': 'cross-site' }],
    ['fetch metadata that nobody knows', { ...own, 'sec-fetch-site': 'Same-Origin' }],
    ['a principal that has no session', { ...own, cookie: `${sessionCookies.access}=robot` }],
  ])('changes nothing with %s', async (_, headers) =>
    expect((await write(headers as Record<string, string>)).code).toBe('cross-site-refused'),
  )

  it('needs no fetch metadata of an old browser, which names its origin', async () =>
    expect((await write(without('sec-fetch-site') as Record<string, string>)).code).toBe(204))

  it.each([
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }, 'cross-site-refused'],
    ['a frame or an image of a sister host', { 'sec-fetch-site': 'same-site' }, 'cross-site-refused'],
    ['an origin that is not on the list', { origin: 'https://evil.org' }, 'cross-site-refused'],
    ['the address bar', { 'sec-fetch-site': 'none' }, 200],
    ['the API’s own origin', { 'sec-fetch-site': 'same-origin' }, 200],
  ])('read by %s', async (_, headers, code) => {
    const site = headers as Record<string, string>
    expect((await ask(cookies, { headers: { cookie, ...site } })).code).toBe(code)
    expect((await ask(cookies, { method: 'HEAD', headers: { cookie, ...site } })).statusCode).toBe(
      code === 200 ? 200 : 403,
    )
  })

  it('that stands there twice is not guessed at', async () =>
    expect((await ask(cookies, { headers: { cookie: `${cookie}; ${sessionCookies.access}=eve` } })).code).toBe(
      'invalid-request',
    ))

  it.each(['annals-access=ada', '__host-annals-access=ada', `x${cookie}`, `y="${cookie}"`])(
    'has one name: %s is none',
    async (other) => expect((await ask(cookies, { headers: { cookie: other } })).code).toBe('unauthenticated'),
  )

  it('of a route for everybody is handed out to its own page only', async () => {
    const peek = async (headers: Record<string, string>) => {
      const reply = await cookies.inject({ method: 'POST', url: '/peeks', headers })
      return reply.statusCode === 200 ? reply.json().refresh : reply.json().code
    }
    const refresh = `${sessionCookies.refresh}=secret`
    expect(await peek({ cookie: refresh, origin: page })).toBe('secret')
    expect(await peek({ cookie: refresh })).toBe('cross-site-refused')
    expect(await peek({ cookie: refresh, origin: 'https://evil.org' })).toBe('cross-site-refused')
    expect(await peek({ origin: 'https://evil.org' })).toBeNull()
  })

  it('comes back as lines of their own', async () =>
    expect((await write(own)).headers['set-cookie']).toEqual(['a=1', 'b=2']))
})

describe('settings', () => {
  const settings = { HSTS_SECONDS: 5, CORS_ORIGINS: [page], COOKIE_MODE: 'on', CSRF_KEY: csrfKey } as const
  it('become rules', () => {
    expect(browserRulesOf(settings)).toEqual({ hstsSeconds: 5, origins: new Set([page]), cookies: { csrfKey } })
    expect(browserRulesOf({ ...settings, COOKIE_MODE: 'off' }).cookies).toBeUndefined()
    for (const missing of [{ CSRF_KEY: undefined }, { CORS_ORIGINS: [] }])
      expect(() => browserRulesOf({ ...settings, ...missing })).toThrow('COOKIE_MODE needs')
  })
})
