import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose'
import { z } from 'zod'
import { createAuthentication } from '../../src/access-tokens'

const issuer = 'https://annals.example'
const audience = 'annals'
const claims = z
  .object({ sub: z.string(), exp: z.int() })
  .transform(({ sub, exp }) => ({ userId: sub, expiresAt: exp }))

let publicKey: CryptoKey
let privateKey: CryptoKey
let strangersKey: CryptoKey
let server: Server
let keysUrl: URL
let fetches = 0

beforeAll(async () => {
  ;({ publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true }))
  strangersKey = (await generateKeyPair('EdDSA', { crv: 'Ed25519' })).privateKey
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'EdDSA', use: 'sig' }]
  server = createServer((_, response) => {
    fetches++
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
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
  return `Bearer ${await token.sign(key)}`
}

describe.each([
  ['with the public key', () => publicKey],
  ['with published keys', () => keysUrl],
])('authentication %s', (_, keys) => {
  const authentication = () => createAuthentication({ keys: keys(), issuer, audience, claims })

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
  ])('refuses %s', async (_, authorization) =>
    expect(authentication()(await authorization())).rejects.toMatchObject({
      code: 'unauthenticated',
      facts: { headers: { 'www-authenticate': 'Bearer' } },
    }),
  )

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
    const authenticate = createAuthentication({ keys: keysUrl, issuer, audience, claims })
    const before = fetches
    for (const expires of ['1m', '2m', '3m']) await authenticate(await bearer({ expires }))
    expect(fetches - before).toBe(1)
  })

  it('that can not be fetched calls no token bad', async () => {
    const nowhere = new URL('http://127.0.0.1:1/')
    const authenticate = createAuthentication({ keys: nowhere, issuer, audience, claims })
    await expect(authenticate(await bearer())).rejects.toMatchObject({
      code: 'dependency-unavailable',
      facts: { headers: { 'retry-after': '2' } },
    })
  })
})
