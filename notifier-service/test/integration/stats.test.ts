import { beforeAll, describe, expect, it } from '@jest/globals'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose'
import { AccessTokenClaims, builtInRoles, isBuiltIn, type NewEvent } from '@annals/contracts'
import { createAuthenticator } from '@annals/platform/access-tokens'
import type { EventLog } from '@annals/platform/event-log'
import { createMetrics } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import { noLimits } from '@annals/platform/rate-limit'
import { testScope } from '@annals/platform/testing'
import { buildApp } from '../../src/api/app'
import { createVerdictOn } from '../../src/api/verdict'
import { fact, people } from '../support/facts'
import { log, notifierDatabase, ownLog } from '../support/servers'

const scope = testScope('file')
const issuer = 'https://annals.example'
const audience = 'annals'
let pool: Pool
let eventLog: EventLog
let privateKey: CryptoKey
let strangersKey: CryptoKey
let url: string
let jwksUrl: string

function appWith(keysFrom: string): FastifyInstance {
  const authenticate = createAuthenticator({
    keys: new URL(keysFrom),
    issuer,
    audience,
    claims: AccessTokenClaims,
    verdictOn: createVerdictOn(eventLog),
  })
  return scope.add(buildApp({ pool, authenticate, limits: noLimits, registry: createMetrics('test'), log }), (app) =>
    app.close(),
  )
}
const listen = (app: FastifyInstance) => app.listen({ host: '127.0.0.1', port: 0 })

beforeAll(async () => {
  pool = (await scope.database(notifierDatabase)).pool
  eventLog = (await ownLog(scope)).eventLog
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  privateKey = pair.privateKey
  strangersKey = (await generateKeyPair('EdDSA', { crv: 'Ed25519' })).privateKey
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'EdDSA', use: 'sig' }] })
  const server = scope.add(
    createServer((_, response) => response.setHeader('content-type', 'application/json').end(jwks)),
    (server) => new Promise((resolve) => server.close(resolve)),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  url = await listen(appWith(jwksUrl))

  const insert = `insert into delivery (id, tenant, event_id, event_type, rule, recipient, channel, identity, template, data, state,
      next_attempt_at, settled_at, correlation_id, occurred_at, recorded_at)
    values (gen_random_uuid(), 'main', gen_random_uuid(), 't', $1, 'r', 'email', gen_random_uuid(), 't.v1', '{}', $2,
      case when $2 = 'pending' then now() end, case when $2 = 'accepted' then now() end, 'c', now(), $3)`
  const now = new Date().toISOString()
  await pool.query(insert, ['welcome', 'accepted', now])
  await pool.query(insert, ['welcome', 'accepted', now])
  await pool.query(insert, ['welcome', 'pending', now])
  await pool.query(insert, ['payment-failed', 'accepted', now])
  await pool.query(insert, ['payment-failed', 'accepted', '2020-01-01T00:00:00Z'])
})

interface TokenOptions {
  roles?: string[]
  key?: CryptoKey
  expires?: string
  to?: string
  typ?: string
  /** Default: one that has begun. */
  sessionId?: string
  /** Default: one whose account is there, with the roles. */
  userId?: string
  epoch?: number
}
/** A fact of a session; all that is looked at is its type. */
const record = (sessionId: string, type: string, revision: number) =>
  eventLog.append(`session-${sessionId}`, [{ id: randomUUID(), type, data: {}, metadata: {} }], revision - 1)

const crowd = people()
/** A fact of an account. */
async function happens(userId: string, event: NewEvent) {
  const { event: encoded, revision } = fact(event, crowd, { stream: `user-${userId}` })
  await eventLog.append(`user-${userId}`, [encoded], revision - 1)
}
async function registered(roles: string[], userId = randomUUID()) {
  const data = { userId, email: 'a@example.org', name: 'A', locale: 'en', roles, credentialId: null, emailProved: true }
  await happens(userId, { type: 'user.registered', data })
  return userId
}

/** A token of a session that the log knows. */
async function token(options: TokenOptions = {}) {
  const { roles = ['user', 'admin'], key = privateKey, expires = '1m', to = audience, typ = 'at+jwt' } = options
  const { sessionId = randomUUID(), epoch = 1 } = options
  const userId = options.userId ?? (await registered(roles))
  const permissions = roles.flatMap((role) => (isBuiltIn(role) ? builtInRoles[role].permissions : []))
  if (options.sessionId === undefined) await record(sessionId, 'session.begun', 0)
  return new SignJWT({ roles, permissions, epoch, sid: sessionId, auth_time: Math.floor(Date.now() / 1000) })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'k1', typ })
    .setIssuer(issuer)
    .setAudience(to)
    .setSubject(userId)
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(key)
}

const ask = async (authorization: string | undefined, query = '', base = url) => {
  const headers = authorization ? { authorization } : {}
  const response = await fetch(`${base}/api/v1/notifications/stats${query}`, { headers })
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  }
}

describe('GET /api/v1/notifications/stats', () => {
  it('counts deliveries by rule, channel and state for an administrator', async () => {
    const { status, body } = await ask(`Bearer ${await token()}`)
    expect(status).toBe(200)
    expect(body['items']).toEqual([
      { rule: 'payment-failed', channel: 'email', state: 'accepted', count: 1 },
      { rule: 'welcome', channel: 'email', state: 'accepted', count: 2 },
      { rule: 'welcome', channel: 'email', state: 'pending', count: 1 },
    ])
  })

  it('counts the time that is asked for', async () => {
    const { body } = await ask(`Bearer ${await token()}`, '?from=2019-12-31T00:00:00Z&before=2020-06-01T00:00:00Z')
    expect(body['items']).toEqual([{ rule: 'payment-failed', channel: 'email', state: 'accepted', count: 1 }])
  })

  it.each([
    ['no token', async () => undefined],
    ['something else', async () => 'Basic YTpi'],
    ['a token of another key', async () => `Bearer ${await token({ key: strangersKey })}`],
    ['an expired token', async () => `Bearer ${await token({ expires: '-1m' })}`],
    ['a token for somebody else', async () => `Bearer ${await token({ to: 'others' })}`],
    ['a token of another kind', async () => `Bearer ${await token({ typ: 'refresh+jwt' })}`],
  ])('refuses %s', async (_, authorization) => {
    const { status, body, headers } = await ask(await authorization())
    expect([status, body['code'], headers.get('www-authenticate')]).toEqual([401, 'unauthenticated', 'Bearer'])
  })

  it('refuses who is no administrator', async () => {
    const { status, body } = await ask(`Bearer ${await token({ roles: ['user'] })}`)
    expect([status, body['code']]).toEqual([403, 'forbidden'])
  })

  it('refuses who has logged out, and a session that the log does not know', async () => {
    const sessionId = randomUUID()
    const bearer = `Bearer ${await token({ sessionId })}`
    const outcome = async () => {
      const { status, body } = await ask(bearer)
      return [status, body['code']]
    }
    expect(await outcome()).toEqual([401, 'session-ended'])
    await record(sessionId, 'session.begun', 0)
    expect(await outcome()).toEqual([200, undefined])
    await record(sessionId, 'session.ended', 1)
    expect(await outcome()).toEqual([401, 'session-ended'])
  })

  it('refuses who is not any more what the token says, by what the log says of the account', async () => {
    const roles = ['user', 'admin']
    const userId = await registered(roles)
    const [kept, taken] = [randomUUID(), randomUUID()]
    for (const sessionId of [kept, taken]) await record(sessionId, 'session.begun', 0)
    const outcome = async (options: TokenOptions) =>
      (await ask(`Bearer ${await token({ userId, roles, sessionId: kept, ...options })}`)).body['code']
    expect(await outcome({})).toBeUndefined()
    await happens(userId, { type: 'user.sessions_ended', data: { userId, epoch: 2, exceptSessionId: kept } })
    expect([await outcome({}), await outcome({ sessionId: taken })]).toEqual([undefined, 'session-ended'])
    expect(await outcome({ sessionId: taken, epoch: 2 })).toBeUndefined()
    await happens(userId, { type: 'user.role_revoked', data: { userId, role: 'admin' } })
    expect(await outcome({})).toBe('unauthenticated')
    expect(await outcome({ roles: ['user'] })).toBe('forbidden')
    await happens(userId, { type: 'user.role_granted', data: { userId, role: 'admin' } })
    expect(await outcome({})).toBeUndefined()
    await happens(userId, { type: 'user.disabled', data: { userId, epoch: 3, reason: 'administrator' } })
    expect(await outcome({ epoch: 3 })).toBe('session-ended')
    await happens(userId, { type: 'user.enabled', data: { userId } })
    expect([await outcome({ epoch: 2 }), await outcome({ epoch: 3 })]).toEqual(['session-ended', undefined])
    await happens(userId, { type: 'user.erased', data: { userId, epoch: 4 } })
    expect(await outcome({ epoch: 4 })).toBe('session-ended')
  })

  it('refuses a token of an account that the log does not know', async () => {
    const { body } = await ask(`Bearer ${await token({ userId: randomUUID() })}`)
    expect(body['code']).toBe('session-ended')
  })

  it.each([
    ['?from=yesterday'],
    ['?from=2026-01-02T00:00:00Z&before=2026-01-01T00:00:00Z'],
    ['?from=2001-01-01T00:00:00Z'],
    ['?x=1'],
    ['?from=0000-01-01T00:00:00Z'],
    ['?before=0000-01-01T00:00:00Z'],
    ['?from=2026-02-30T00:00:00Z'],
    ['?before=%00'],
  ])('refuses %s', async (query) => {
    const { status, body } = await ask(`Bearer ${await token()}`, query)
    expect([status, body['code']]).toEqual([400, 'invalid-request'])
  })

  it.each([
    ['?before=0001-01-15T00:00:00Z'],
    ['?from=9999-12-01T00:00:00Z&before=9999-12-31T23:59:59.999Z'],
    ['?from=2026-01-01T00:00:00%2B02:00&before=2026-02-01T00:00:00-05:00'],
  ])('counts nothing where nothing can be: %s', async (query) =>
    expect(await ask(`Bearer ${await token()}`, query)).toMatchObject({ status: 200, body: { items: [] } }),
  )

  it('says so when the keys can not be read, rather than calling the token bad', async () => {
    const base = await listen(appWith('http://127.0.0.1:1/'))
    const { status, body, headers } = await ask(`Bearer ${await token()}`, '', base)
    expect([status, body['code'], headers.get('retry-after')]).toEqual([503, 'dependency-unavailable', '2'])
  })
})
