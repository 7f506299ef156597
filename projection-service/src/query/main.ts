import { z } from 'zod'
import { AccessTokenClaims, consistencyTokenPurpose, RateLimitSettings } from '@annals/contracts'
import { accessTokenSecondsMax, createAuthenticator } from '@annals/platform/access-tokens'
import { browserRulesOf } from '@annals/platform/api'
import { field, httpFields, processFields, redisFields } from '@annals/platform/config'
import { counter } from '@annals/platform/metrics'
import { createPool } from '@annals/platform/postgres'
import { runProcess } from '@annals/platform/process'
import { createRateLimits, createRedisWindows } from '@annals/platform/rate-limit'
import { createRedis } from '@annals/platform/redis'
import { createRevocationMarks, revocationMarkMs } from '@annals/platform/revocation'
import { createSignedText } from '@annals/platform/signed-text'
import { buildQueryApi, queryReadiness } from './app'
import { createConsistencyWait } from './consistency'
import { createLogState } from './log-state'
import { listenForProgress } from './progress'
import { generationNamed, readModels } from './read-models'
import { createVerdictOn } from './verdict'

const Config = z.object({
  ...processFields(3103),
  ...httpFields(3003),
  QUERY_DATABASE_URL: field.url('postgres', 'postgresql'),
  QUERY_DATABASE_CONNECTIONS: field.integer(10, 1, 100),
  /** `live`, or `asof:<label>` for what `replay --as-of` has folded: a process of its own, so that no answer mixes the two. */
  READ_MODELS: z
    .string()
    .default('live')
    .transform((text, context) => {
      const generation = generationNamed(text)
      if (!generation) context.addIssue('must be "live", or "asof:" and a label')
      return generation ?? z.NEVER
    }),
  ...redisFields,
  JWKS_URL: field.url('http', 'https'),
  /** As the command API has it. */
  CONSISTENCY_TOKEN_KEY: field.key256(),
  JWT_ISSUER: z.string().min(1),
  JWT_AUDIENCE: z.string().min(1),
  RATE_LIMITS: RateLimitSettings,
  /** Proxies in front whose `X-Forwarded-For` is believed. */
  TRUSTED_PROXIES: field.trustedProxies(),
})

void runProcess({ name: 'query-api', Config, env: process.env }, async (context) => {
  const { config, log, metrics, scope, ready, degraded } = context
  const unknownRevocations = counter(
    metrics,
    'annals_query_revocation_unknown_total',
    'Requests whose session and account were looked up in the read models, since Redis could not tell whether they have ended',
  )
  const pool = scope.add(
    'read models',
    createPool(config.QUERY_DATABASE_URL, log, config.QUERY_DATABASE_CONNECTIONS, {
      application_name: 'annals-query',
      // A query that takes longer holds up others; every one has an index.
      statement_timeout: 5_000,
    }),
    (it) => it.end(),
  )
  const redis = scope.add('redis', createRedis(config.REDIS_URL, log, { ca: config.REDIS_TLS_CA }), (it) =>
    it.disconnect(),
  )
  const marks = scope.add(
    'revocations',
    createRevocationMarks({ redis, log, markMs: revocationMarkMs(accessTokenSecondsMax), onSkipped: () => undefined }),
    (it) => it.close(),
  )
  const models = readModels(pool, config.READ_MODELS)
  const logState = createLogState(pool)
  const progress = scope.add('progress', listenForProgress(pool, log), (it) => it.close())
  ready(queryReadiness(models, logState))
  // Without it sessions are looked up in the read models, and each process counts requests by itself.
  degraded({ redis: () => redis.ping() })
  const app = buildQueryApi({
    models,
    log,
    metrics,
    limits: createRateLimits({ table: config.RATE_LIMITS, shared: createRedisWindows(redis), metrics }),
    trustedProxies: config.TRUSTED_PROXIES,
    authenticate: createAuthenticator({
      keys: new URL(config.JWKS_URL),
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
      claims: AccessTokenClaims,
      verdictOn: createVerdictOn(marks, pool, () => unknownRevocations.inc()),
    }),
    browsers: browserRulesOf(config),
    consistency: createConsistencyWait(
      models,
      logState,
      createSignedText(config.CONSISTENCY_TOKEN_KEY, consistencyTokenPurpose),
      progress,
    ),
    now: () => new Date(),
  })
  scope.add('api', app, (it) => it.close())
  await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })
})
