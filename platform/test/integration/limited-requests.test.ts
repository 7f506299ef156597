import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { createApi, HttpProblem, routeDefiner, type ApiTypes } from '@annals/platform/api'
import { parseTrustedProxies } from '@annals/platform/client-address'
import { createLogger } from '@annals/platform/log'
import { createMetrics } from '@annals/platform/metrics'
import { createRateLimits, createRedisWindows, type LimitTable } from '@annals/platform/rate-limit'
import { createRedis, type Redis } from '@annals/platform/redis'
import { eventually, requireEnv, testScope } from '@annals/platform/testing'

const scope = testScope('file')
const silent = createLogger('test', 'silent')
interface Types extends ApiTypes {
  principal: { name: string }
}
const define = routeDefiner<Types, undefined>()
const common = { summary: '', tag: 't', problems: [], response: { status: 204 }, handle: async () => ({}) } as const
const routes = [
  define({ ...common, operationId: 'free', method: 'GET', path: '/free', permission: 'public', rateLimit: 'none' }),
  define({ ...common, operationId: 'read', method: 'GET', path: '/read', permission: 'public', rateLimit: 'plain' }),
  define({ ...common, operationId: 'try', method: 'POST', path: '/try', permission: 'public', rateLimit: 'guarded' }),
  define({ ...common, operationId: 'mine', method: 'GET', path: '/mine', permission: 'own', rateLimit: 'personal' }),
  define({
    ...common,
    operationId: 'one',
    method: 'GET',
    path: '/one/:id',
    params: z.object({ id: z.uuid() }),
    permission: 'public',
    rateLimit: 'each',
  }),
  define({ ...common, operationId: 'two', method: 'GET', path: '/two', permission: 'public', rateLimit: 'each' }),
]
const table: LimitTable = {
  general: { ip: { limit: 6, windowSeconds: 60 } },
  none: {},
  plain: {},
  guarded: { ip: { limit: 3, windowSeconds: 30 } },
  personal: { user: { limit: 4, windowSeconds: 60 } },
  each: { endpoint: { limit: 2, windowSeconds: 60 } },
}
const problems = Object.fromEntries(
  [
    ['invalid-request', 400],
    ['unauthenticated', 401],
    ['not-found', 404],
    ['method-not-allowed', 405],
    ['too-many-requests', 429],
    ['internal-error', 500],
  ].map(([code, status]) => [code, { status: Number(status), title: String(code) }]),
)

let redis: Redis
let authentications = 0
/** One process: its own counts, the same Redis. */
async function startApi(over: LimitTable = table) {
  const metrics = createMetrics('test')
  const api = scope.add(
    createApi<undefined, Types['principal']>({
      log: silent,
      metrics,
      problems,
      problemType: (code) => `urn:test:${code}`,
      toProblem: () => undefined,
      trustedProxies: parseTrustedProxies('127.0.0.1, 10.0.0.0/8')!,
      limits: createRateLimits({ table: over, shared: createRedisWindows(redis), metrics }),
      access: {
        async authenticate(authorization) {
          authentications++
          if (!authorization?.startsWith('good ')) throw new HttpProblem('unauthenticated')
          return { name: authorization.slice(5) }
        },
        permits: () => true,
        userOf: ({ name }) => name,
      },
      routes,
      deps: undefined,
    }),
    (it) => it.close(),
  )
  await api.listen({ host: '127.0.0.1', port: 0 })
  return { url: `http://127.0.0.1:${(api.server.address() as AddressInfo).port}`, metrics }
}
let one: Awaited<ReturnType<typeof startApi>>
let other: typeof one

beforeAll(async () => {
  redis = scope.add(createRedis(requireEnv('REDIS_URL'), silent), (it) => it.disconnect())
  await eventually(() => expect(redis.status).toBe('ready'))
  one = await startApi()
  other = await startApi()
})

let client = ''
/** An address that nobody else has. */
const newClient = () => {
  const [a, b] = randomUUID().split('-').slice(1)
  return `2001:db8:${a}:${b}::1`
}
beforeEach(() => {
  client = newClient()
  authentications = 0
})
async function call(
  path: string,
  {
    from = client,
    at = one,
    method = 'GET',
    token,
  }: { from?: string; at?: typeof one; method?: string; token?: string } = {},
) {
  const response = await fetch(`${at.url}${path}`, {
    method,
    headers: { 'x-forwarded-for': from, ...(token === undefined ? {} : { authorization: token }) },
  })
  await response.arrayBuffer()
  const header = (name: string) => response.headers.get(name)
  return { status: response.status, policy: header('ratelimit-policy'), standing: header('ratelimit'), header }
}
const statusesOf = (replies: readonly { status: number }[]) => {
  const counts: Record<number, number> = {}
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1
  return counts
}
const many = (count: number, work: (i: number) => ReturnType<typeof call>) =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)))

describe('a request that is counted', () => {
  it('is told what it is counted in, and what remains', async () => {
    const { status, policy, standing } = await call('/try', { method: 'POST' })
    expect(status).toBe(204)
    expect(policy).toBe('"general.ip";q=6;w=60, "guarded.ip";q=3;w=30')
    expect(standing).toBe('"general.ip";r=5;t=60, "guarded.ip";r=2;t=30')
  })

  it('that is one too many is refused with the window that is full, and when to come back', async () => {
    await many(3, () => call('/try', { method: 'POST' }))
    const { status, policy, standing, header } = await call('/try', { method: 'POST' })
    expect([status, header('content-type')]).toEqual([429, 'application/problem+json; charset=utf-8'])
    expect(policy).toBe('"guarded.ip";q=3;w=30')
    expect(standing).toMatch(/^"guarded\.ip";r=0;t=(29|30)$/)
    expect(header('retry-after')).toBe(standing!.split('t=')[1])
    // What was refused counts in none: there is as much room in the other window as before.
    expect((await call('/read')).standing).toMatch(/^"general\.ip";r=2;/)
  })

  it('counts for all processes together', async () => {
    const replies = await many(60, (i) => call('/read', { at: i % 2 ? one : other }))
    expect(statusesOf(replies)).toEqual({ 204: 6, 429: 54 })
  })

  it('counts whatever is wrong with it, and what finds no route', async () => {
    const replies = [
      await call('/one/no-uuid'),
      await call('/nowhere'),
      await call('/read', { method: 'DELETE' }),
      await call('/mine'),
      await call('/mine', { token: 'bad' }),
      await call('/read'),
    ]
    expect(replies.map(({ status }) => status)).toEqual([400, 404, 405, 401, 401, 204])
    for (const path of ['/one/no-uuid', '/nowhere', '/mine', '/read']) expect((await call(path)).status).toBe(429)
  })

  it('names no policy where nothing counts', async () => {
    const replies = await many(20, () => call('/free'))
    expect(statusesOf(replies)).toEqual({ 204: 20 })
    expect([replies[0]!.policy, replies[0]!.standing]).toEqual([null, null])
  })

  it('of one operation leaves others their place', async () => {
    expect(statusesOf(await many(4, () => call(`/one/${randomUUID()}`)))).toEqual({ 204: 2, 429: 2 })
    expect(statusesOf(await many(4, () => call('/two')))).toEqual({ 204: 2, 429: 2 })
  })
})

describe('a token', () => {
  it('is looked at as often as its client may ask, and counts for its user from wherever it comes', async () => {
    const name = randomUUID()
    const replies = await many(10, () => call('/mine', { from: newClient(), token: `good ${name}` }))
    expect(statusesOf(replies)).toEqual({ 204: 4, 429: 6 })
    expect(replies.find(({ status }) => status === 429)!.policy).toBe('"personal.user";q=4;w=60')
    expect((await call('/mine', { from: newClient(), token: `good ${randomUUID()}` })).status).toBe(204)
  })

  it('that is none costs no more than a good one: 400 at once are looked at 6 times', async () => {
    const replies = await many(400, () => call('/mine', { token: 'bad' }))
    expect(statusesOf(replies)).toEqual({ 401: 6, 429: 394 })
    expect(authentications).toBe(6)
  })

  it('that is refused by the window of its user takes nothing from its client', async () => {
    const token = `good ${randomUUID()}`
    await many(4, () => call('/mine', { from: newClient(), token }))
    for (let i = 0; i < 3; i++) expect((await call('/mine', { token })).status).toBe(429)
    expect((await call('/read')).standing).toMatch(/^"general\.ip";r=5;/)
  })
})

describe('a client', () => {
  it('is one /64 of IPv6, whichever of its addresses it takes', async () => {
    const network = client.replace(/::1$/, '')
    const replies = await many(20, (i) => call('/read', { from: `${network}:${i + 1}::${i}` }))
    expect(statusesOf(replies)).toEqual({ 204: 6, 429: 14 })
  })

  it('does not choose what it is counted by: only what trusted proxies have added is believed', async () => {
    // The last untrusted address in the list is the client; what stands before it the client has written itself.
    const replies = await many(20, (i) => call('/read', { from: `198.51.100.${i}, ${client}, 10.0.0.1` }))
    expect(statusesOf(replies)).toEqual({ 204: 6, 429: 14 })
    // Nor do other headers of this kind count.
    const [a] = randomUUID().split('-')
    const forged = await Promise.all(
      ['forwarded', 'x-real-ip', 'client-ip', 'true-client-ip', 'cf-connecting-ip', 'x-client-ip'].map((name) =>
        fetch(`${one.url}/read`, { headers: { 'x-forwarded-for': client, [name]: `for=${a}` } }),
      ),
    )
    expect(statusesOf(forged)).toEqual({ 429: 6 })
  })
})

describe('limits', () => {
  it('tell how much they refuse, by policy', async () => {
    await many(8, () => call('/try', { method: 'POST' }))
    expect(await one.metrics.metrics()).toMatch(
      /annals_api_limited_total\{policy="guarded",by="ip",service="test"\} \d/,
    )
  })

  it('that a route names and nobody has set stop the process from starting', async () => {
    const { guarded: _, ...rest } = table
    await expect(startApi(rest)).rejects.toThrow('there is no rate limit policy "guarded"')
  })
})
