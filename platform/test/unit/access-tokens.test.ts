import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose'
import { z } from 'zod'
import { createAuthenticator } from '../../src/access-tokens'

const issuer = 'https://annals.example'
const audience = 'annals'
const claims = z
  .object({ sub: z.string(), exp: z.int() })
  .transform(({ sub, exp }) => ({ userId: sub, expiresAt: exp }))

/** Sessions that have ended, by who bears the token. */
const ended = new Set<string>()
const verdictOn = async ({ userId }: { userId: string }) => (ended.has(userId) ? ('ended' as const) : ('good' as const))

let publicKey: CryptoKey
let privateKey: CryptoKey
let strangersKey: CryptoKey
let server: Server
let keysUrl: URL
let fetches = 0
let published: object[]

beforeAll(async () => {
  ;({ publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true }))
  strangersKey = (await generateKeyPair('EdDSA', { crv: 'Ed25519' })).privateKey
  published = [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'EdDSA', use: 'sig' }]
  server = createServer((_, response) => {
    fetches++
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  keysUrl = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
})
afterAll(() => new Promise((resolve) => server.close(resolve)))
afterEach(() => void jest.restoreAllMocks())

interface TokenOptions {
  key?: CryptoKey
  to?: string
  from?: string
  typ?: string
  expires?: string
  subject?: string | undefined
  issued?: string | undefined
}
const bearer = async (options: TokenOptions = {}) => {
  const { key = privateKey, to = audience, from = issuer, typ = 'at+jwt', expires = '5m' } = options
  const token = new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA', kid: 'k1', typ })
    .setIssuer(from)
    .setAudience(to)
    .setExpirationTime(expires)
  const subject = 'subject' in options ? options.subject : 'anna'
  if (subject !== undefined) token.setSubject(subject)
  const issued = 'issued' in options ? options.issued : '0s'
  if (issued !== undefined) token.setIssuedAt(issued)
  return `Bearer ${await token.sign(key)}`
}

const header = '{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}'
const seconds = () => Math.floor(Date.now() / 1_000)
const plain = () => `{"iss":"${issuer}","aud":"${audience}","sub":"anna","iat":${seconds()},"exp":${seconds() + 60}}`
const twice = () => plain().replace('"sub"', '"sub":"eve","sub"')
/** Signs a header and a payload as they are written. */
async function signed(head: string, payload: string): Promise<string> {
  const text = [head, payload].map((part) => Buffer.from(part).toString('base64url')).join('.')
  const signature = await crypto.subtle.sign('Ed25519', privateKey, Buffer.from(text))
  return `Bearer ${text}.${Buffer.from(signature).toString('base64url')}`
}

describe.each([
  ['with the public key', () => publicKey],
  ['with published keys', () => keysUrl],
])('authentication %s', (_, keys) => {
  const authentication = () => createAuthenticator({ keys: keys(), issuer, audience, claims, verdictOn })

  it('tells who bears the token', async () =>
    expect(await authentication()(await bearer())).toEqual({ userId: 'anna', expiresAt: expect.any(Number) }))

  it.each<[string, () => Promise<string | undefined>]>([
    ['a request without a token', async () => undefined],
    ['another scheme', async () => 'Basic YTpi'],
    ['what is no token', async () => 'Bearer x'],
    ['a token of another key', () => bearer({ key: strangersKey })],
    ['a token for somebody else', () => bearer({ to: 'others' })],
    ['a token of somebody else', () => bearer({ from: 'https://others.example' })],
    ['a token of another kind', () => bearer({ typ: 'JWT' })],
    ['an expired token', () => bearer({ expires: '-1m' })],
    ['a token that is far too long', () => bearer({ subject: 'a'.repeat(4_096) })],
    ['a token that claims too little', () => bearer({ subject: undefined })],
    ['a token that does not say when it was issued', () => bearer({ issued: undefined })],
    ['a token that is older than any may be, whenever it ends', () => bearer({ issued: '-2h', expires: '900y' })],
    ['a token from the future', () => bearer({ issued: '1h', expires: '2h' })],
    ['a token that claims something twice', () => signed(header, twice())],
    ['a token whose header says something twice', () => signed(header.replace('{', '{"alg":"none",'), plain())],
  ])('refuses %s', async (_, authorization) =>
    expect(authentication()(await authorization())).rejects.toMatchObject({
      code: 'unauthenticated',
    }),
  )

  it.each(['bearer', 'BEARER', 'Bearer  '])('knows the scheme as %p', async (scheme) =>
    expect(await authentication()((await bearer()).replace('Bearer', scheme))).toMatchObject({ userId: 'anna' }),
  )

  it('takes what was written by hand as well, so that what is refused above is refused for what it says', async () =>
    expect(await authentication()(await signed(header, plain()))).toMatchObject({ userId: 'anna' }))

  it('refuses a token whose session has ended, also one that it has seen good', async () => {
    const authenticate = authentication()
    const token = await bearer({ subject: 'otto' })
    await authenticate(token)
    ended.add('otto')
    await expect(authenticate(token)).rejects.toMatchObject({ code: 'session-ended' })
    ended.delete('otto')
  })

  it('refuses a token that it has seen good, once its time is over', async () => {
    const authenticate = authentication()
    const token = await bearer({ expires: '5m' })
    await authenticate(token)
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 6 * 60_000)
    await expect(authenticate(token)).rejects.toMatchObject({ code: 'unauthenticated' })
  })
})

describe('authentication with published keys', () => {
  it('fetches them once for many tokens', async () => {
    const authenticate = createAuthenticator({ keys: keysUrl, issuer, audience, claims, verdictOn })
    const before = fetches
    for (const expires of ['1m', '2m', '3m']) await authenticate(await bearer({ expires }))
    expect(fetches - before).toBe(1)
  })

  it('lets nobody in with a key that was withdrawn, once the stated time has passed', async () => {
    const recheckMs = 200
    const authenticate = createAuthenticator({ keys: keysUrl, issuer, audience, claims, verdictOn, recheckMs })
    const token = await bearer()
    await authenticate(token)
    const before = published
    published = []
    try {
      await delay(2 * recheckMs)
      await expect(authenticate(token)).rejects.toMatchObject({ code: 'unauthenticated' })
    } finally {
      published = before
    }
  })

  it('that can not be fetched again are good for a while', async () => {
    let silent = false
    const flaky = createServer((_, response) => {
      if (silent) response.destroy()
      else response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published }))
    }).listen(0, '127.0.0.1')
    await once(flaky, 'listening')
    const keys = new URL(`http://127.0.0.1:${(flaky.address() as AddressInfo).port}/`)
    const authenticate = createAuthenticator({ keys, issuer, audience, claims, verdictOn, recheckMs: 50 })
    await authenticate(await bearer())
    silent = true
    await delay(100)
    expect(await authenticate(await bearer({ subject: 'berta' }))).toMatchObject({ userId: 'berta' })
    flaky.close()
  })

  it('that can not be fetched calls no token bad', async () => {
    const nowhere = new URL('http://127.0.0.1:1/')
    const authenticate = createAuthenticator({ keys: nowhere, issuer, audience, claims, verdictOn })
    await expect(authenticate(await bearer())).rejects.toMatchObject({
      code: 'dependency-unavailable',
      facts: { headers: { 'retry-after': '2' } },
    })
  })
})
