import { randomUUID } from 'node:crypto'
import { connect, type AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import { z } from 'zod'
import { createApi, HttpProblem, routeDefiner } from '@annals/platform/api'
import { noLimits } from '@annals/platform/rate-limit'
import { parseTrustedProxies } from '@annals/platform/client-address'
import { createLogger } from '@annals/platform/log'

let app: FastifyInstance
let url: string
const metrics = new Registry()
const written: string[] = []

class Refused extends Error {}

interface Types {
  permission: 'public' | 'staff'
  principal: { name: string }
  problem: 'refused' | 'forbidden' | 'unauthenticated'
  rateLimit: 'none'
}
const define = routeDefiner<Types, { answer: () => unknown }>()
const common = { summary: '', tag: 't', permission: 'public', rateLimit: 'none', problems: [] } as const
const anything = { status: 200, schema: z.any() } as const
const Thing = z.strictObject({ count: z.int(), tags: z.array(z.string()).max(2) })
const Line = z.object({ name: z.string(), note: z.string() })
async function* linesOf<T>(...items: T[]) {
  yield* items
}

const routes = [
  define({
    ...common,
    operationId: 'makeThing',
    method: 'POST',
    path: '/things',
    aliases: [{ method: 'POST', path: '/things/create' }],
    body: Thing,
    response: anything,
    handle: async ({ body, ip }) => ({ body: { got: body, from: ip } }),
  }),
  define({
    ...common,
    operationId: 'do',
    method: 'POST',
    path: '/doings',
    response: anything,
    handle: async ({ body }) => ({ body: { got: body ?? null } }),
  }),
  define({
    ...common,
    operationId: 'getThing',
    method: 'GET',
    path: '/things/:id',
    params: z.object({ id: z.uuid() }),
    response: anything,
    handle: async () => ({ body: {} }),
  }),
  define({
    ...common,
    operationId: 'refuse',
    method: 'GET',
    path: '/refused',
    response: { status: 204 },
    problems: ['refused'],
    async handle() {
      throw new Refused()
    },
  }),
  define({
    ...common,
    operationId: 'answer',
    method: 'GET',
    path: '/answers',
    response: { status: 200, schema: z.object({ count: z.int() }) },
    handle: async (_, { answer }) => ({ body: answer() as { count: number } }),
  }),
  define({
    ...common,
    operationId: 'break',
    method: 'GET',
    path: '/broken',
    response: { status: 204 },
    async handle() {
      throw new Error('the password is swordfish')
    },
  }),
  define({
    ...common,
    operationId: 'staffOnly',
    method: 'GET',
    path: '/staff',
    permission: 'staff',
    response: { status: 200, schema: z.object({ name: z.string() }) },
    handle: async ({ principal }) => ({ body: principal }),
  }),
  define({
    ...common,
    operationId: 'exportCsv',
    method: 'GET',
    path: '/lines.csv',
    response: { status: 200, schema: Line, form: 'csv' },
    handle: async () => ({ lines: linesOf({ name: 'a, "b"', note: '=1+1' }, { name: 'ü', note: '' }) }),
  }),
  define({
    ...common,
    operationId: 'exportLines',
    method: 'GET',
    path: '/lines.ndjson',
    response: { status: 200, schema: Line, form: 'ndjson' },
    handle: async () => ({ lines: linesOf({ name: 'a', note: 'b', secret: 's' }, { name: 'c', note: 'd' }) }),
  }),
  define({
    ...common,
    operationId: 'follow',
    method: 'GET',
    path: '/events',
    response: { status: 200, schema: Line, form: 'events' },
    handle: async () => ({
      events: linesOf(
        { id: '1', event: 'line', data: { name: 'a', note: 'b', secret: 's' } },
        { data: { name: 'c', note: 'd' } },
      ),
    }),
  }),
  define({
    ...common,
    operationId: 'hook',
    method: 'POST',
    path: '/hooks',
    bodyForm: 'raw',
    bodyBytesMax: 100,
    response: anything,
    handle: async ({ body }) => ({ body: { hex: body.toString('hex') } }),
  }),
  define({
    ...common,
    operationId: 'upload',
    method: 'POST',
    path: '/uploads',
    bodyForm: 'multipart',
    bodyBytesMax: 200_000,
    response: anything,
    async handle({ body }) {
      const got: unknown[] = []
      for await (const part of body)
        got.push(
          part.type === 'file'
            ? [part.fieldname, part.filename, (await part.toBuffer()).length]
            : [part.fieldname, part.value],
        )
      return { body: got }
    },
  }),
]

/** What `/answers` answers. */
let answered: unknown = { count: 1 }
const problems = {
  'invalid-request': { status: 400, title: 'Invalid' },
  unauthenticated: { status: 401, title: 'Who are you?' },
  forbidden: { status: 403, title: 'Not for you' },
  refused: { status: 409, title: 'Refused' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'Not allowed' },
  'request-timeout': { status: 408, title: 'Too slow' },
  'uri-too-long': { status: 414, title: 'Too long' },
  'header-fields-too-large': { status: 431, title: 'Too many fields' },
  stopping: { status: 503, title: 'Ends' },
  'payload-too-large': { status: 413, title: 'Too large' },
  'unsupported-media-type': { status: 415, title: 'Not JSON' },
  'internal-error': { status: 500, title: 'Broken' },
}

beforeAll(async () => {
  app = createApi({
    log: createLogger('test', 'info', { write: (line: string) => void written.push(line) }),
    metrics,
    problems,
    problemType: (code) => `urn:test:${code}`,
    toProblem: (error) =>
      error instanceof Refused
        ? new HttpProblem('refused', { detail: 'Ask later.', headers: { 'retry-after': '3' } })
        : undefined,
    trustedProxies: parseTrustedProxies('127.0.0.1, 10.0.0.0/8')!,
    routes,
    deps: { answer: () => answered },
    access: {
      async authenticate(authorization) {
        if (!authorization) throw new HttpProblem('unauthenticated')
        return { name: authorization }
      },
      permits: ({ name }, permission) => permission === 'staff' && name === 'boss',
      userOf: ({ name }) => name,
    },
    limits: noLimits,
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
    ['that names a member twice', '{"count":1,"count":1,"tags":[]}', {}, 400, 'invalid-request'],
    ['that is nested 30,000 deep', '['.repeat(30_000) + ']'.repeat(30_000), {}, 400, 'invalid-request'],
    ['of another type', 'count=1', { 'content-type': 'text/plain' }, 415, 'unsupported-media-type'],
  ])('%s is a problem of its own', async (_, text, headers, status, code) => {
    const reply = await post(text, headers as Record<string, string>)
    expect([reply.status, reply.body.code]).toEqual([status, code])
  })

  it('is read as UTF-8, and only that', async () => {
    const bytes = (text: string, encoding: BufferEncoding) =>
      ask('/things', {
        method: 'POST',
        body: Buffer.from(`{"count":1,"tags":["${text}"]}`, encoding),
        headers: { 'content-type': 'application/json' },
      })
    expect((await bytes('café', 'utf8')).body.got.tags).toEqual(['café'])
    const { status, body } = await bytes('café', 'latin1')
    expect([status, body.code, body.detail]).toEqual([400, 'invalid-request', 'The body is not valid UTF-8.'])
    // A surrogate as CESU-8 has it, an overlong NUL, and a code point beyond the last.
    for (const wrong of ['\xed\xa0\x80', '\xc0\x80', '\xf4\x90\x80\x80'])
      expect((await bytes(wrong, 'latin1')).status).toBe(400)
  })

  it.each([
    ['application/json; charset=utf-8', 200],
    ['application/json;charset="UTF-8"', 200],
    ['application/json; charset=utf8', 200],
    ['application/json; charset=iso-8859-1', 415],
    ['application/json; charset=utf-16', 415],
    ['application/json; charset=utf-8; charset=latin1', 415],
    ['application/jsonp', 415],
    ['nonsense', 415],
  ])('of the type %s is answered %i', async (type, status) => {
    const reply = await post('{"count":1,"tags":[]}', { 'content-type': type })
    expect(reply.status).toBe(status)
    if (status !== 200) expect(reply.body.code).toBe('unsupported-media-type')
  })

  it.each(['gzip', 'br', 'identity, gzip', 'nonsense'])(
    'that says that it is encoded (%s) is not read',
    async (encoding) => {
      for (const body of [gzipSync('{"count":1,"tags":[]}'), '{"count":1,"tags":[]}']) {
        const reply = await ask('/things', {
          method: 'POST',
          body,
          headers: { 'content-type': 'application/json', 'content-encoding': encoding },
        })
        expect([reply.status, reply.body.code, reply.headers.get('accept-encoding')]).toEqual([
          415,
          'unsupported-media-type',
          'identity',
        ])
      }
    },
  )

  it('says "identity" when it is not encoded', async () =>
    expect((await post('{"count":1,"tags":[]}', { 'content-encoding': 'identity' })).status).toBe(200))

  it.each([
    ['with a type', { 'content-type': 'application/json' }],
    ['with a type and a charset', { 'content-type': 'application/json; charset=utf-8' }],
    ['with neither', {}],
  ])('without a body is taken where none is needed, %s', async (_, headers) => {
    const { status, body } = await ask('/doings', { method: 'POST', headers: headers as Record<string, string> })
    expect([status, body]).toEqual([200, { got: null }])
  })

  it('comes from where trusted proxies say, not from where a client says', async () => {
    const { body } = await post('{"count":1,"tags":[]}', { 'x-forwarded-for': '203.0.113.9, 198.51.100.7, 10.1.2.3' })
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
    const id = randomUUID()
    await ask('/refused', { headers: { 'x-correlation-id': id } })
    const line = written.map((text) => JSON.parse(text)).find(({ correlationId }) => correlationId === id)
    expect(await metrics.metrics()).toMatch(/^annals_api_answers_total\{operation="refuse",outcome="refused"\} [1-9]/m)
    expect(line).toMatchObject({ method: 'GET', route: '/refused', status: 409, problem: 'refused', msg: 'request' })
  })
})

describe('an answer', () => {
  it('has nothing beyond its schema', async () => {
    answered = { count: 2, passwordHash: 'swordfish' }
    expect((await ask('/answers')).body).toEqual({ count: 2 })
  })

  it('that does not fit its schema is a fault of ours, and says nothing to the outside', async () => {
    answered = { count: 'the password is swordfish' }
    const { status, body } = await ask('/answers')
    expect([status, body.code, JSON.stringify(body).includes('swordfish')]).toEqual([500, 'internal-error', false])
  })

  it.each([
    '/things/1b4e28ba-2fa1-41d2-883f-0016d3cca427',
    '/refused',
    '/broken',
    '/nothing',
    '/healthz',
    '/things/%ZZ',
  ])('is neither rendered, nor framed, nor guessed at: %s', async (path) => {
    const { headers } = await fetch(url + path)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it('comes as lines of CSV, in which no cell is a formula', async () => {
    const response = await fetch(`${url}/lines.csv`)
    expect(response.headers.get('content-type')).toContain('text/csv')
    const lines = ['name,note', String.raw`"a, ""b""",'=1+1`, 'ü,', '']
    expect(await response.text()).toBe(lines.join('\r\n'))
  })

  it('comes as lines of JSON, each held to the schema', async () => {
    const response = await fetch(`${url}/lines.ndjson`)
    expect(response.headers.get('content-type')).toContain('application/x-ndjson')
    expect(await response.text()).toBe('{"name":"a","note":"b"}\n{"name":"c","note":"d"}\n')
  })

  it('comes as events, each held to the schema', async () => {
    const response = await fetch(`${url}/events`, { headers: { accept: 'text/event-stream' } })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const text = await response.text()
    expect(text).toMatch(/id: ?1\n/)
    expect(text).toMatch(/event: ?line\n/)
    expect([...text.matchAll(/data: ?(.*)\n/g)].map(([, data]) => data)).toEqual([
      '{"name":"a","note":"b"}',
      '{"name":"c","note":"d"}',
    ])
  })
})

describe('a route', () => {
  it('answers under its other names', async () => {
    const answers = ['/things', '/things/create'].map((path) =>
      ask(path, { method: 'POST', body: '{"count":1,"tags":[]}', headers: { 'content-type': 'application/json' } }),
    )
    for (const { status } of await Promise.all(answers)) expect(status).toBe(200)
  })

  it('that is not for everybody asks who comes, before it looks at the request', async () => {
    const { status, body, headers } = await ask('/staff?nonsense')
    expect([status, body.code, headers.get('www-authenticate')]).toEqual([401, 'unauthenticated', 'Bearer'])
    expect((await ask('/staff', { headers: { authorization: 'visitor' } })).body.code).toBe('forbidden')
    expect((await ask('/staff', { headers: { authorization: 'boss' } })).body).toEqual({ name: 'boss' })
  })

  it('reads bytes as they came', async () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x00])
    for (const type of ['application/json', 'text/plain', undefined]) {
      const headers = type ? { 'content-type': type } : undefined
      const reply = await ask('/hooks', { method: 'POST', body: bytes, ...(headers ? { headers } : {}) })
      expect([reply.status, reply.body.hex]).toEqual([200, '7bff00'])
    }
    expect((await ask('/hooks', { method: 'POST', body: Buffer.alloc(101) })).body.code).toBe('payload-too-large')
  })

  it('reads an upload part by part', async () => {
    const form = new FormData()
    form.append('title', 'mine')
    form.append('file', new Blob(['x'.repeat(70_000)]), 'file.txt')
    expect((await ask('/uploads', { method: 'POST', body: form })).body).toEqual([
      ['title', 'mine'],
      ['file', 'file.txt', 70_000],
    ])
    const other = await ask('/uploads', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
    expect(other.body.code).toBe('unsupported-media-type')
  })
})

describe('a correlation id', () => {
  it('is kept when it is a UUID', async () => {
    const id = randomUUID()
    expect((await ask('/refused', { headers: { 'x-correlation-id': id } })).headers.get('x-correlation-id')).toBe(id)
  })

  it.each(['ada@example.org', 'x', `${randomUUID()}0`, ''])('is made anew in place of %p', async (given) => {
    const { headers } = await ask('/refused', { headers: { 'x-correlation-id': given } })
    expect(headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(headers.get('x-correlation-id')).not.toBe(given)
  })
})

describe('a path', () => {
  it.each([
    ['a parameter twice', '?a=1&b=2&a=1', '/querystring/a'],
    ['a parameter twice, written differently', '?a=1&%61=2', '/querystring/a'],
    ['too many parameters', `?${Array.from({ length: 51 }, (_, i) => `p${i}=`).join('&')}`, undefined],
  ])('with %s is refused', async (_, query, pointer) => {
    const { status, body } = await ask(`/answers${query}`)
    expect([status, body.code, body.errors?.[0].pointer]).toEqual([400, 'invalid-request', pointer])
  })

  it('that is not there is 404', async () => expect((await ask('/nothing')).body.code).toBe('not-found'))

  it('that knows other methods says which', async () => {
    const { status, headers } = await ask('/things/1b4e28ba-2fa1-41d2-883f-0016d3cca427', { method: 'DELETE' })
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  })

  it.each(['PUT', 'PATCH', 'DELETE', 'PROPFIND', 'GET'])('says so to %s as well', async (method) => {
    const { status, body } = await raw(`${method} /doings HTTP/1.1\r\nhost: annals\r\nconnection: close\r\n\r\n`)
    expect([status, JSON.parse(body).code]).toEqual([405, 'method-not-allowed'])
  })
})

/** Sends bytes as they are. @returns status line, headers in lower case, and the body. */
function raw(bytes: string): Promise<{ status: number; headers: string; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes, 'latin1'))
    let text = ''
    socket.setEncoding('utf8')
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (chunk) => (text += chunk))
    socket.on('error', reject)
    socket.on('close', () => {
      const [head = '', body = ''] = text.split('\r\n\r\n')
      resolve({ status: Number(head.split(' ')[1]), headers: head.toLowerCase(), body })
    })
  })
}

describe('what is refused before there is a route', () => {
  const host = 'host: annals\r\nconnection: close\r\n'

  it.each([
    ['an address that does not decode', `GET /things/%ZZ HTTP/1.1\r\n${host}\r\n`, 400, 'invalid-request'],
    ['one that is no UTF-8', `GET /things/%ff HTTP/1.1\r\n${host}\r\n`, 400, 'invalid-request'],
    ['a NUL in it', `GET /things/%00 HTTP/1.1\r\n${host}\r\n`, 400, 'invalid-request'],
    ['an id that is too long', `GET /things/${'a'.repeat(101)} HTTP/1.1\r\n${host}\r\n`, 414, 'uri-too-long'],
    [
      'a header of 20 kB',
      `GET /things/1 HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n${host}\r\n`,
      431,
      'header-fields-too-large',
    ],
    ['101 headers', `GET /answers HTTP/1.1\r\n${'x: y\r\n'.repeat(99)}${host}\r\n`, 431, 'header-fields-too-large'],
    ['2,500 headers', `GET /answers HTTP/1.1\r\n${host}${'x:\r\n'.repeat(2_500)}\r\n`, 431, 'header-fields-too-large'],
    [
      'a length beside chunks',
      `POST /things HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n${host}\r\n0\r\n\r\n`,
      400,
      'invalid-request',
    ],
    ['two origins', `GET /answers HTTP/1.1\r\norigin: a\r\norigin: b\r\n${host}\r\n`, 400, 'invalid-request'],
    ['an address of 20 kB', `GET /${'y'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`, 431, 'header-fields-too-large'],
    ['no host', 'GET /things/1 HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'invalid-request'],
    ['a method that is none', `FETCH /things/1 HTTP/1.1\r\n${host}\r\n`, 400, 'invalid-request'],
    ['a control character in a header', `GET /things/1 HTTP/1.1\r\nx: a\x00b\r\n${host}\r\n`, 400, 'invalid-request'],
    [
      'two lengths',
      `POST /things HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n${host}\r\n{}`,
      400,
      'invalid-request',
    ],
    ['two hosts', `GET /healthz HTTP/1.1\r\nhost: other\r\n${host}\r\n`, 400, 'invalid-request'],
    [
      'two tokens',
      `GET /staff HTTP/1.1\r\nauthorization: boss\r\nAuthorization: visitor\r\n${host}\r\n`,
      400,
      'invalid-request',
    ],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\r\n\r\n', 400, 'invalid-request'],
  ])('%s is a problem like all others', async (_, bytes, status, code) => {
    const reply = await raw(bytes)
    expect(reply.status).toBe(status)
    expect(reply.headers).toContain('content-type: application/problem+json; charset=utf-8')
    const body = JSON.parse(reply.body)
    expect(body).toMatchObject({ type: `urn:test:${code}`, status, code })
    expect(reply.headers).toContain(`x-correlation-id: ${body.correlationId}`)
    expect(reply.headers).toContain('x-content-type-options: nosniff')
  })

  it('an expectation that nobody knows is passed over', async () => {
    const reply = await raw(`POST /doings HTTP/1.1\r\nexpect: the unexpected\r\n${host}\r\n`)
    expect([reply.status, JSON.parse(reply.body)]).toEqual([200, { got: null }])
  })

  it('is logged and counted once', async () => {
    const before = written.length
    const { body } = await raw(`GET /things/%ZZ HTTP/1.1\r\n${host}\r\n`)
    const { correlationId } = JSON.parse(body)
    const lines = written.slice(before).map((text) => JSON.parse(text))
    expect(lines.filter((line) => line.correlationId === correlationId)).toEqual([
      expect.objectContaining({ route: 'unknown', status: 400, problem: 'invalid-request', msg: 'request' }),
    ])
  })
})

describe('metrics of requests', () => {
  it('count by route, never by path', async () => {
    await ask('/things/17')
    const text = await metrics.metrics()
    expect(text).toMatch(/annals_api_request_seconds_count\{method="GET",route="\/things\/:id",status="400"\} [1-9]/)
    expect(text).not.toContain('/things/17')
  })

  it.each(['/healthz', '/readyz', '/metrics'])(
    'are not for clients, nor is what else operators ask: no %s',
    async (path) => expect((await ask(path)).status).toBe(404),
  )
})

describe('an API that is closed', () => {
  it('refuses what still comes as a problem, with the time to try again', async () => {
    let entered = () => undefined as void
    const isIn = new Promise<void>((resolve) => (entered = resolve))
    let finish = () => undefined as void
    const other = createApi({
      log: createLogger('test', 'silent'),
      metrics: new Registry(),
      problems,
      problemType: (code) => `urn:test:${code}`,
      toProblem: () => undefined,
      access: { authenticate: async () => undefined, permits: () => false, userOf: () => '' },
      limits: noLimits,
      deps: undefined,
      routes: [
        routeDefiner<Types, undefined>()({
          ...common,
          operationId: 'slow',
          method: 'GET',
          path: '/slow',
          response: { status: 204 },
          async handle() {
            entered()
            await new Promise<void>((resolve) => (finish = resolve))
            return {}
          },
        }),
      ],
    })
    await other.listen({ host: '127.0.0.1', port: 0 })
    const socket = connect((other.server.address() as AddressInfo).port, '127.0.0.1')
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    const ended = new Promise((resolve) => socket.once('close', resolve))
    const request = 'GET /slow HTTP/1.1\r\nhost: annals\r\n\r\n'
    socket.write(request)
    await isIn
    const closed = other.close()
    // On the same connection, behind the request that is being answered.
    const comes = new Promise((resolve) => other.server.once('request', resolve))
    socket.write(request)
    await comes
    finish()
    await Promise.all([closed, ended])
    expect(text).toMatch(/^HTTP\/1.1 204/)
    expect(text).toMatch(/HTTP\/1.1 503[^]*retry-after: 1[^]*"code":"stopping"/)
  })
})
