import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import { z } from 'zod'
import { createApi, HttpProblem } from '@annals/platform/http'
import { createLogger } from '@annals/platform/log'

let app: FastifyInstance
let url: string
let fit = true
const written: string[] = []

class Refused extends Error {}

beforeAll(async () => {
  app = createApi({
    log: createLogger('test', 'info', { write: (line: string) => void written.push(line) }),
    metrics: new Registry(),
    readiness: { server: () => (fit ? Promise.resolve() : Promise.reject(new Error('gone'))), other: async () => 1 },
    problems: {
      'invalid-request': { status: 400, title: 'Invalid' },
      refused: { status: 409, title: 'Refused' },
      'not-found': { status: 404, title: 'Not found' },
      'method-not-allowed': { status: 405, title: 'Not allowed' },
      'payload-too-large': { status: 413, title: 'Too large' },
      'unsupported-media-type': { status: 415, title: 'Not JSON' },
      'internal-error': { status: 500, title: 'Broken' },
    },
    problemType: (code) => `urn:test:${code}`,
    toProblem: (error) =>
      error instanceof Refused
        ? new HttpProblem('refused', { detail: 'Ask later.', headers: { 'retry-after': '3' } })
        : undefined,
    trustProxy: 1,
  })
  const body = z.strictObject({ count: z.int(), tags: z.array(z.string()).max(2) })
  app.post('/things', { schema: { body } }, async (request) => ({ got: request.body, from: request.ip }))
  app.get('/things/:id', { schema: { params: z.object({ id: z.uuid() }) } }, async () => ({}))
  app.get('/refused', async () => {
    throw new Refused()
  })
  app.get('/broken', async () => {
    throw new Error('the password is swordfish')
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
})
afterAll(() => app.close())

async function ask(path: string, init: RequestInit = {}) {
  const response = await fetch(url + path, init)
  // oxlint-disable-next-line typescript/no-explicit-any
  return { status: response.status, headers: response.headers, body: (await response.json()) as any }
}
const post = (body: string, headers: Record<string, string> = {}) =>
  ask('/things', { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })

describe('a request', () => {
  it('is validated and handed on', async () => {
    const { status, body } = await post('{"count":1,"tags":[]}')
    expect([status, body.got]).toEqual([200, { count: 1, tags: [] }])
  })

  it('is told every fault with its place', async () => {
    const { status, body, headers } = await post('{"count":"1","tags":["a",2],"more":true}')
    expect(status).toBe(400)
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(body).toMatchObject({
      type: 'urn:test:invalid-request',
      title: 'Invalid',
      status: 400,
      code: 'invalid-request',
    })
    expect(body.errors.map((error: { pointer: string }) => error.pointer).toSorted()).toEqual([
      '/body',
      '/body/count',
      '/body/tags/1',
    ])
  })

  it('with a wrong parameter is told which', async () => {
    const { body } = await ask('/things/17')
    expect(body.errors).toEqual([expect.objectContaining({ pointer: '/params/id' })])
  })

  it.each([
    ['that is no JSON', '{', {}, 400, 'invalid-request'],
    ['that poisons a prototype', '{"__proto__":{"x":1},"count":1,"tags":[]}', {}, 400, 'invalid-request'],
    ['that is empty', '', {}, 400, 'invalid-request'],
    ['that is too large', JSON.stringify({ count: 1, tags: ['x'.repeat(70_000)] }), {}, 413, 'payload-too-large'],
    ['of another type', 'count=1', { 'content-type': 'text/plain' }, 415, 'unsupported-media-type'],
  ])('%s is a problem of its own', async (_, text, headers, status, code) => {
    const reply = await post(text, headers as Record<string, string>)
    expect([reply.status, reply.body.code]).toEqual([status, code])
  })

  it('comes from where the one trusted proxy says, not from where a client says', async () => {
    const { body } = await post('{"count":1,"tags":[]}', { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' })
    expect(body.from).toBe('198.51.100.7')
  })
})

describe('a problem', () => {
  it('of the service goes out with its headers', async () => {
    const { status, body, headers } = await ask('/refused')
    expect([status, body.code, body.detail, headers.get('retry-after')]).toEqual([409, 'refused', 'Ask later.', '3'])
  })

  it('of ours says nothing to the outside, and everything to the log', async () => {
    const { status, body, headers } = await ask('/broken')
    expect(status).toBe(500)
    expect(JSON.stringify(body)).not.toContain('swordfish')
    const id = headers.get('x-correlation-id')
    expect(body.correlationId).toBe(id)
    const line = written
      .map((text) => JSON.parse(text))
      .find(({ level, correlationId }) => level === 'error' && correlationId === id)
    expect(line.err.message).toContain('swordfish')
  })

  it('is counted and logged by its code', async () => {
    await ask('/refused', { headers: { 'x-correlation-id': 'counted' } })
    const line = written.map((text) => JSON.parse(text)).find(({ correlationId }) => correlationId === 'counted')
    expect(line).toMatchObject({ method: 'GET', route: '/refused', status: 409, problem: 'refused', msg: 'request' })
  })
})

describe('a path', () => {
  it('that is not there is 404', async () => expect((await ask('/nothing')).body.code).toBe('not-found'))

  it('that knows other methods says which', async () => {
    const { status, headers } = await ask('/things/1b4e28ba-2fa1-41d2-883f-0016d3cca427', { method: 'DELETE' })
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })
})

describe('operations', () => {
  it('say that the process lives, whatever its dependencies do', async () => {
    fit = false
    expect((await ask('/healthz')).status).toBe(200)
    fit = true
  })

  it('name the dependency that does not answer, and recover by themselves', async () => {
    fit = false
    const { status, body } = await ask('/readyz')
    expect([status, body]).toEqual([503, { status: 'not-ready', checks: { server: 'failed', other: 'ok' } }])
    const told = async () => (await (await fetch(`${url}/metrics`)).text()).match(/^process_ready.*$/gm)
    expect(await told()).toEqual(['process_ready{check="server"} 0', 'process_ready{check="other"} 1'])
    fit = true
    expect((await ask('/readyz')).status).toBe(200)
    expect(await told()).toEqual(['process_ready{check="server"} 1', 'process_ready{check="other"} 1'])
  })

  it('count requests by route, never by path', async () => {
    await ask('/things/17')
    const text = await (await fetch(`${url}/metrics`)).text()
    expect(text).toMatch(
      /http_server_request_duration_seconds_count\{method="GET",route="\/things\/:id",status="400"\} [1-9]/,
    )
    expect(text).not.toContain('/things/17')
  })
})
