/** The running system, attacked as a stranger on the network or a page in somebody's browser would. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parseSetCookie } from 'cookie'
import { CookieTokenResponse, Problem } from '@annals/contracts'
import { documents } from '../attacks/requests.mjs'
import { lookAlikes, sendFrom } from '../attacks/browsers.mjs'
import { fuzz } from '../attacks/fuzz.mjs'
import { sendUnknownFields } from '../attacks/mass-assignment.mjs'
import { sendBytes } from '../attacks/wire.mjs'
import { eventually } from '../eventually.mjs'
import { exchange } from '../http.mjs'
import { runProgram } from '../processes.mjs'
import { openSystem } from '../system.mjs'

const page = 'https://app.example.org'
const password = `sensible ${randomBytes(4).toString('hex')} passphrase`
const email = 'attacked@example.org'
/** `FUZZ_SEED` repeats the requests of an earlier run, `FUZZ_REQUESTS` makes more of them for each API. */
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31))
const requests = Number(process.env['FUZZ_REQUESTS'] ?? 400)

let system: Awaited<ReturnType<typeof openSystem>>
let ids: Record<string, string>

const post = async (
  path: string,
  body: unknown,
  options: { token?: string; headers?: Record<string, string> } = {},
) => {
  const answer = await exchange(`${system.services.urls.command}/api/v1${path}`, { method: 'POST', body, ...options })
  if (answer.status >= 400) throw new Error(`${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer
}
const newToken = async (): Promise<string> => (await post('/auth/login', { email, password })).body.accessToken

/** What the browser of somebody who is logged in sends along, whoever makes it do so. */
async function browser() {
  const headers = { origin: page, 'sec-fetch-site': 'same-site', 'token-delivery': 'cookie' }
  const answer = await post('/auth/login', { email, password }, { headers })
  const { csrfToken } = CookieTokenResponse.parse(answer.body)
  const kept = answer.headers.getSetCookie().map((line: string) => parseSetCookie(line))
  return { cookie: kept.map(({ name, value }) => `${name}=${value}`).join('; '), csrfToken }
}

beforeAll(async () => {
  system = await openSystem(`e2e-${process.pid}-attacks`, {
    env: {
      LOGIN_ATTEMPTS_PER_IP: '100000',
      CORS_ORIGINS: page,
      COOKIE_MODE: 'on',
      CSRF_KEY: randomBytes(32).toString('base64'),
    },
  })
  await post('/auth/register', { email, password, name: 'Attacked' })
  // Another person's: some operations end all sessions of the one in the path, and the attacks need theirs.
  const { userId } = (await post('/auth/register', { email: `other-${email}`, password, name: 'Other' })).body
  await runProgram('command-service/dist/operator/main.js', ['grant-role', email, 'admin'], system.env)
  const token = await newToken()
  const payment = { amount: '1.00', currency: 'EUR', method: { type: 'card', token: 'tok_visa' } }
  const { paymentId } = (await post('/payments', payment, { token, headers: { 'idempotency-key': randomUUID() } })).body
  ids = { userId, paymentId, factorId: randomUUID(), sessionId: randomUUID() }
  await eventually(async () => {
    const { status } = await exchange(`${system.services.urls.query}/api/v1/payments/${paymentId}`, { token })
    expect(status).toBe(200)
  })
}, 180_000)

afterAll(() => system?.close(), 60_000)

describe('a page in somebody’s browser', () => {
  it('uses all three APIs when it is the right one, and shows the proof for what it changes', async () => {
    const { cookie, csrfToken } = await browser()
    const from: [string, string][] = [
      ['cookie', cookie],
      ['origin', page],
      ['sec-fetch-site', 'same-site'],
    ]
    const reads = (await sendFrom(system.services.urls, ids, from)).filter(({ method }) => method === 'GET')
    expect(reads.length).toBeGreaterThan(8)
    expect(reads.filter(({ status, allowed }) => status !== 200 || allowed !== page)).toEqual([])
    const all = await sendFrom(system.services.urls, ids, [...from, ['csrf-token', csrfToken]])
    expect(all.filter(({ code }) => code === 'cross-site-refused')).toEqual([])
    expect(all.filter(({ method, status }) => method !== 'GET' && status < 300).length).toBeGreaterThan(1)
  })

  it('changes nothing without the proof, or with that of another session', async () => {
    const { cookie } = await browser()
    const other = await browser()
    for (const proof of [undefined, '', other.csrfToken]) {
      const from: [string, string][] = [
        ['cookie', cookie],
        ['origin', page],
        ['sec-fetch-site', 'same-origin'],
      ]
      if (proof !== undefined) from.push(['csrf-token', proof])
      const changes = (await sendFrom(system.services.urls, ids, from)).filter(({ method }) => method !== 'GET')
      expect(changes.length).toBeGreaterThan(2)
      expect(changes.filter(({ code }) => code !== 'cross-site-refused')).toEqual([])
    }
  })

  it('neither reads nor changes anything when it only looks like the right one, even with the proof', async () => {
    const { cookie, csrfToken } = await browser()
    for (const origin of lookAlikes(page))
      for (const site of [undefined, 'same-site', 'cross-site']) {
        const from: [string, string][] = [
          ['cookie', cookie],
          ['origin', origin],
          ['csrf-token', csrfToken],
        ]
        if (site !== undefined) from.push(['sec-fetch-site', site])
        const answers = await sendFrom(system.services.urls, ids, from)
        expect(answers.filter(({ code, allowed }) => code !== 'cross-site-refused' || allowed !== null)).toEqual([])
      }
  }, 60_000)

  it('of another site changes nothing with a form, which names no origin in some browsers', async () => {
    const { cookie, csrfToken } = await browser()
    for (const from of [
      [['sec-fetch-site', 'cross-site']],
      [
        ['sec-fetch-site', 'cross-site'],
        ['csrf-token', csrfToken],
      ],
      [['csrf-token', csrfToken]],
      [],
    ] as [string, string][][]) {
      const answers = await sendFrom(system.services.urls, ids, [['cookie', cookie], ...from])
      const changes = answers.filter(({ method }) => method !== 'GET')
      expect(changes.filter(({ code }) => code !== 'cross-site-refused')).toEqual([])
    }
  })

  it('cannot send a body as a form does', async () => {
    const { cookie, csrfToken } = await browser()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      for (const path of ['/api/v1/auth/login', '/api/v1/auth/refresh', '/api/v1/payments']) {
        const headers: [string, string][] = [
          ['content-type', type],
          ['cookie', cookie],
          ['origin', page],
          ['csrf-token', csrfToken],
          ['idempotency-key', randomUUID()],
        ]
        const body = JSON.stringify({ email, password })
        expect((await sendBytes(system.services.urls.command!, { method: 'POST', path, headers, body })).status).toBe(
          415,
        )
      }
  })

  it('is told by a preflight what it may send only when it is the right one', async () => {
    const preflight = (origin: string) =>
      sendBytes(system.services.urls.command!, {
        method: 'OPTIONS',
        path: '/api/v1/payments',
        headers: [
          ['origin', origin],
          ['access-control-request-method', 'POST'],
          ['access-control-request-headers', 'x'],
        ],
      })
    const { status, headers } = await preflight(page)
    expect([status, headers.get('access-control-allow-methods')]).toEqual([204, 'POST, OPTIONS'])
    expect(headers.get('access-control-allow-headers')!.split(', ')).toEqual(
      expect.arrayContaining(['authorization', 'content-type', 'csrf-token', 'idempotency-key', 'token-delivery']),
    )
    for (const origin of lookAlikes(page))
      expect(
        [...(await preflight(origin)).headers.keys()].filter((name) => name.startsWith('access-control-')),
      ).toEqual([])
  })
})

it('no body and no query takes a field that nobody knows', async () => {
  const answers = await sendUnknownFields(system.services.urls, await newToken(), ids)
  expect(answers.length).toBeGreaterThan(20)
  expect(answers.filter(({ status, pointers }) => status !== 400 || pointers.length !== 1)).toEqual([])
}, 60_000)

describe(`requests made at random (FUZZ_SEED=${seed})`, () => {
  it.each(documents)(
    'never meet a fault of the %s API',
    async (api) => {
      const answers = await fuzz(system.services.urls[api]!, api, { seed, requests, ids, newToken })
      expect(answers).toHaveLength(requests)
      expect(answers.filter(({ status }) => !(status >= 200 && status < 500))).toEqual([])
      const refusals = answers.filter(({ status }) => status >= 400)
      expect(refusals.filter(({ contentType }) => !contentType.startsWith('application/problem+json'))).toEqual([])
      for (const { what, method, status, answer } of refusals)
        if (method !== 'HEAD') expect({ what, ...Problem.parse(JSON.parse(answer)) }).toMatchObject({ what, status })
      // They get somewhere: some are taken, and refusals are of many kinds.
      expect(answers.filter(({ status }) => status < 300).length).toBeGreaterThan(requests / 50)
      expect(new Set(answers.map(({ status }) => status)).size).toBeGreaterThan(4)
    },
    60_000 + requests * 150,
  )
})
