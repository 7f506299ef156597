import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { generousLimits } from '../../../dev/stack/generous-limits.mjs'
import { CommandConfig } from '../../src/api/config'
import { openCommandService } from '../../src/api/service'
import { readConfig } from '@annals/platform/config'
import { createMetrics } from '@annals/platform/metrics'
import { createOperations, Scope } from '@annals/platform/process'
import { requireEnv, type TestScope } from '@annals/platform/testing'
import { silent } from './database'

export interface Reply {
  status: number
  headers: Headers
  // Answers are asserted field by field; their types are the contracts' affair.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface Call {
  body?: unknown
  token?: string
  headers?: Record<string, string>
}

export interface TestService {
  url: string
  post(path: string, call?: Call): Promise<Reply>
  get(path: string, call?: Call): Promise<Reply>
  delete(path: string, call?: Call): Promise<Reply>
  /** The same with any method. */
  send(method: string, path: string, call?: Call): Promise<Reply>
  metrics(): Promise<string>
  /** Whether it calls itself ready. */
  isReady(): Promise<boolean>
  close(): Promise<void>
}

export type Environment = Record<string, string>

/** A configuration of its own: keys made now, addresses of the real servers. `given` comes over it. */
export function testEnvironment(given: Environment): Environment {
  const { privateKey } = generateKeyPairSync('ed25519')
  return {
    EVENTSTORE_URL: given['EVENTSTORE_URL'] ?? requireEnv('EVENTSTORE_URL'),
    REDIS_URL: given['REDIS_URL'] ?? requireEnv('REDIS_URL'),
    MASTER_KEY: randomBytes(32).toString('base64'),
    SECRETS_MASTER_KEY: randomBytes(32).toString('base64'),
    PASSWORD_PEPPER: randomBytes(32).toString('base64'),
    RESERVATION_KEY: randomBytes(32).toString('base64'),
    REFRESH_TOKEN_KEY: randomBytes(32).toString('base64'),
    CONSISTENCY_TOKEN_KEY: randomBytes(32).toString('base64'),
    JWT_PRIVATE_JWK: JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid: randomUUID() }),
    JWT_ISSUER: 'http://annals.test',
    JWT_AUDIENCE: 'annals',
    BCRYPT_COST: '10',
    // Accounts at once; what proves addresses first says so.
    REGISTRATION_MODE: 'open',
    PAYMENT_GATEWAY_TIMEOUT_MS: '500',
    RATE_LIMITS: generousLimits(),
    ...given,
  }
}

/**
 * The command API on a port of its own, opened as `main` opens it.
 * @param tests closes it, unless its test has done so.
 * @param beyond settings that no deployment may have, such as a cost of bcrypt that a test can wait for.
 */
export async function startTestService(
  tests: TestScope,
  environment: Environment,
  beyond: Partial<CommandConfig> = {},
): Promise<TestService> {
  const scope = tests.add(new Scope(silent), (it) => it.close())
  const config = { ...readConfig(CommandConfig, environment), ...beyond }
  const metrics = createMetrics('command-service')
  const { ready, degraded, results } = createOperations(metrics)
  const app = await openCommandService({ config, log: silent, metrics, scope, ready, degraded })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

  async function send(method: string, path: string, { body, token, headers = {} }: Call = {}): Promise<Reply> {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }
  return {
    url,
    post: (path, call) => send('POST', path, call),
    get: (path, call) => send('GET', path, call),
    delete: (path, call) => send('DELETE', path, call),
    send,
    metrics: () => metrics.metrics(),
    isReady: async () => Object.values(await results()).every(Boolean),
    close: () => scope.close(),
  }
}

export const password = 'correct horse battery'
/** From a network that nothing has come from yet, for a service that trusts 127.0.0.1 as its proxy: what fails is counted by network. */
export const fromNewNetwork = () => {
  const [a, b] = randomUUID().split('-').slice(1)
  return { 'x-forwarded-for': `2001:db8:${a}:${b}::1` }
}
export const newEmail = () => `${randomUUID()}@example.com`

export interface Person {
  email: string
  userId: string
  sessionId: string
  token: string
  refreshToken: string
}

/** Somebody who has registered and logged in. */
export async function somebody(service: TestService, email = newEmail()): Promise<Person> {
  const registered = await service.post('/api/v1/auth/register', { body: { email, password, name: 'Anna' } })
  if (registered.status !== 201) throw new Error(`not registered: ${JSON.stringify(registered.body)}`)
  return logIn(service, email)
}

export async function logIn(service: TestService, email: string): Promise<Person> {
  const { status, body } = await service.post('/api/v1/auth/login', { body: { email, password } })
  if (status !== 200) throw new Error(`not logged in: ${JSON.stringify(body)}`)
  const { userId, sessionId, accessToken: token, refreshToken } = body
  return { email, userId, sessionId, token, refreshToken }
}

export const aPayment = (token = 'tok_visa') => ({
  amount: '12.50',
  currency: 'EUR',
  method: { type: 'card', token },
  description: 'tea',
})

/** A payment that was created for somebody. */
export async function newPayment(service: TestService, person: Person, token = 'tok_visa'): Promise<string> {
  const { status, body } = await service.post('/api/v1/payments', {
    token: person.token,
    body: aPayment(token),
    headers: { 'idempotency-key': randomUUID() },
  })
  if (status !== 201) throw new Error(`not created: ${JSON.stringify(body)}`)
  return body.paymentId
}
