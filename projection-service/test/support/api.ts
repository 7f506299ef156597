import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomBytes, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import {
  AccessTokenClaims,
  builtInRoles,
  consistencyTokenPurpose,
  encodeConsistencyToken,
  isBuiltIn,
  type ConsistencyPoint,
} from '@annals/contracts'
import { createAuthenticator } from '@annals/platform/access-tokens'
import { createMetrics } from '@annals/platform/metrics'
import type { Pool } from '@annals/platform/postgres'
import { createOperations } from '@annals/platform/process'
import { noLimits, type RateLimits } from '@annals/platform/rate-limit'
import type { RevocationMarks } from '@annals/platform/revocation'
import { createSignedText } from '@annals/platform/signed-text'
import type { TestScope } from '@annals/platform/testing'
import { buildQueryApi, queryReadiness } from '../../src/query/app'
import { createConsistencyWait } from '../../src/query/consistency'
import { createLogState } from '../../src/query/log-state'
import { readModels } from '../../src/query/read-models'
import { createVerdictOn } from '../../src/query/verdict'
import type { Generation } from '../../src/engine/tables/generation'
import { silent } from './database'

const nowSeconds = () => Math.floor(Date.now() / 1000)

/** What the built-in ones among these roles permit. */
const permissionsOf = (roles: readonly string[]) =>
  roles.filter(isBuiltIn).flatMap((role): readonly string[] => builtInRoles[role].permissions)

const issuer = 'http://issuer.test'
const audience = 'annals'
const signed = createSignedText(randomBytes(32), consistencyTokenPurpose)

/** A consistency token as the command API would issue it. */
export const consistencyTokenOf = (point: ConsistencyPoint): string => signed.sign(encodeConsistencyToken(point))

export interface Answer {
  status: number
  body: Record<string, unknown> & { items: Record<string, unknown>[]; nextCursor: string | null }
  headers: Headers
}

export interface TestApi {
  get(path: string, options?: { token?: string; consistency?: string }): Promise<Answer>
  /** An answer that is no JSON text. */
  text(path: string, options: { token: string }): Promise<{ status: number; text: string; headers: Headers }>
  tokenFor(userId: string, options?: TokenOptions): Promise<string>
  revocationsUnknown(): number
  /** Whether it calls itself ready. */
  isReady(): Promise<boolean>
}

export interface TokenOptions {
  roles?: string[]
  sessionId?: string
  epoch?: number
  audience?: string
  expiresIn?: string
  typ?: string
}

/** The query API on a port of its own, with keys of its own published as the command API does. @param scope closes it. */
export async function startTestApi(
  scope: TestScope,
  options: {
    pool: Pool
    marks?: Pick<RevocationMarks, 'ask'>
    waitMs?: number
    generation?: Generation
    /** Default: nothing is counted. */
    limits?: RateLimits
  },
): Promise<TestApi> {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'EdDSA', use: 'sig' }
  const jwks = createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ keys: [jwk] }))
  })
  await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve))
  let unknown = 0
  const models = readModels(options.pool, options.generation)
  const logState = createLogState(options.pool)
  const metrics = createMetrics('test')
  const operations = createOperations(metrics)
  operations.ready(queryReadiness(models, logState))
  const app = buildQueryApi({
    models,
    log: silent,
    metrics,
    limits: options.limits ?? noLimits,
    authenticate: createAuthenticator({
      keys: new URL(`http://127.0.0.1:${(jwks.address() as AddressInfo).port}/jwks.json`),
      issuer,
      audience,
      claims: AccessTokenClaims,
      verdictOn: createVerdictOn(options.marks ?? { ask: async () => 'good' }, options.pool, () => (unknown += 1)),
    }),
    consistency: createConsistencyWait(models, logState, signed, undefined, options.waitMs ?? 2_000),
    now: () => new Date(),
  })
  scope.onEnd(async () => {
    await app.close()
    await new Promise((resolve) => jwks.close(resolve))
  }, 'query API')
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    async get(path, { token, consistency } = {}) {
      const response = await fetch(`${base}/api/v1${path}`, {
        headers: {
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(consistency ? { 'consistency-token': consistency } : {}),
        },
      })
      return { status: response.status, body: (await response.json()) as Answer['body'], headers: response.headers }
    },
    async text(path, { token }) {
      const response = await fetch(`${base}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } })
      return { status: response.status, text: await response.text(), headers: response.headers }
    },
    tokenFor: (
      userId,
      { roles = ['user'], sessionId = randomUUID(), epoch = 1, expiresIn = '5m', typ = 'at+jwt', ...given } = {},
    ) =>
      new SignJWT({ sid: sessionId, roles, permissions: permissionsOf(roles), epoch, auth_time: nowSeconds() })
        .setProtectedHeader({ alg: 'EdDSA', kid: 'test', typ })
        .setIssuer(issuer)
        .setAudience(given.audience ?? audience)
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime(expiresIn)
        .sign(privateKey),
    revocationsUnknown: () => unknown,
    isReady: async () => Object.values(await operations.results()).every(Boolean),
  }
}
