import { availableParallelism } from 'node:os'
import type { FastifyInstance } from 'fastify'
import { AccessTokenClaims, consistencyTokenPurpose } from '@annals/contracts'
import { createAuthenticator } from '@annals/platform/access-tokens'
import { browserRulesOf } from '@annals/platform/api'
import { createEventLog } from '@annals/platform/event-log'
import { counter, durations, gauge } from '@annals/platform/metrics'
import { createPool } from '@annals/platform/postgres'
import type { ProcessContext } from '@annals/platform/process'
import { createRateLimits, createRedisWindows } from '@annals/platform/rate-limit'
import { createRedis } from '@annals/platform/redis'
import { createSignedText } from '@annals/platform/signed-text'
import { revocationMarkMs } from '@annals/platform/revocation'
import { masterKeysOf, missingKeysCounter } from '@annals/platform/subject-keys'
import type { CommandConfig } from './config'
import { createLogin } from '../sessions/commands/login'
import { createPaymentCommands } from '../payments/commands/payments'
import { createAddressHash, createRegistration } from '../accounts/commands/registration'
import { createSecondFactor } from '../sessions/commands/second-factor'
import { createFinishLogin } from '../sessions/finish-login'
import { createAttempts } from '../accounts/commands/attempts'
import { createVerifyEmail } from '../sessions/commands/verify-email'
import { createSessionCommands } from '../sessions/commands/sessions'
import { createAcquaintances } from '../accounts/acquaintances'
import { createStepUp } from '../sessions/commands/step-up'
import { createChallengeSecrets } from '../accounts/challenge-secrets'
import { createChallenges } from '../accounts/challenges'
import { commonPasswords } from '../accounts/common-passwords'
import { createFactors } from '../accounts/factors/factors'
import { createGuessThrottle } from '../accounts/guess-throttle'
import { createOwnerCommands } from '../accounts/owner-commands'
import { createPasswordCheck } from '../accounts/password-check'
import { peppersOf } from '../accounts/password-forms'
import { createPasswords } from '../accounts/passwords'
import { createRehash } from '../accounts/rehash'
import { createCountAttempt } from '../core/attempts'
import { anchorOutcomes, startAnchoring, type AnchorOutcome } from '../audit/anchoring'
import { createFingerprint } from '../core/command-context'
import { createExecute } from '../core/execute'
import { createInFlight } from '../core/in-flight'
import { createHttpPaymentGateway } from '../payments/payment-gateway/http-payment-gateway'
import { buildApp } from './app'
import { createClaimsCheck, createPermissionsOf } from '../accounts/role-permissions'
import { createIssueTokens, createOpenSession } from '../sessions/open-session'
import { createRevocations } from '../sessions/revocations'
import { createKeyExpiry } from '../core/key-expiry'
import { createKeyWriter } from '../core/key-writer'
import { createAccessTokens } from '../sessions/access-tokens'
import { createConsistencyTokens } from '../core/consistency-tokens'
import { createRefreshTokens } from '../sessions/refresh-tokens'
import { createTokenCookies } from '../sessions/token-cookies'

/** Requests that may run at once; at 20 KB each they hold 20 MB. More than that wait longer than a client does. */
const commandsInFlightMax = 1_000
/** For one purpose: half, so that a silent payment gateway leaves as many for all else. */
const commandsPerPurposeMax = 500
/** For one user, or one client who is nobody yet: far more than a person or a page asks for at once. */
const commandsPerPrincipalMax = 50
/** Two of libuv's four threads stay free for signatures, files and look-ups. */
const passwordConcurrencyMax = 2
/** Of logins, as many of registrations, and of passwords that are hashed anew. */
const passwordQueueMax = 32
/** Keys are cached: few commands need the database. */
const poolSize = 10

/**
 * Opens all that the command API needs and builds it, without listening: for `main`, tests and measurements.
 * The context's scope closes what was opened, in reverse.
 */
export async function openCommandService({
  config,
  log,
  metrics,
  scope,
  ready,
  degraded,
}: Pick<
  ProcessContext<CommandConfig>,
  'config' | 'log' | 'metrics' | 'scope' | 'ready' | 'degraded'
>): Promise<FastifyInstance> {
  const tenant = config.TENANT
  const now = () => new Date().toISOString()
  const appendSeconds = durations(metrics, 'annals_command_append_seconds', 'Time that an append to the log took')
  const conflicts = counter(metrics, 'annals_command_append_conflicts_total', 'Appends that came second', ['category'])
  const redisSkips = counter(metrics, 'annals_command_redis_skipped_total', 'Questions that Redis did not answer', [
    'purpose',
  ])
  const paymentGatewayAnswers = counter(
    metrics,
    'annals_command_payment_gateway_answers_total',
    'Answers of the payment gateway',
    ['outcome'],
  )

  const eventLog = scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (open) => open.close())
  const pool = scope.add('PostgreSQL', createPool(config.COMMAND_DATABASE_URL, log, poolSize), (open) => open.end())
  const redis = scope.add('Redis', createRedis(config.REDIS_URL, log, { ca: config.REDIS_TLS_CA }), (open) =>
    open.disconnect(),
  )

  const missingKeys = missingKeysCounter(metrics)
  const onMissing = () => missingKeys.inc()
  const keys = createKeyWriter({
    pool,
    masters: masterKeysOf(config.MASTER_KEY),
    secretMasters: masterKeysOf(config.SECRETS_MASTER_KEY),
    log: eventLog,
    onMissing,
  })
  const observe = {
    append: (seconds: number) => appendSeconds.observe(seconds),
    conflict: (category: string) => conflicts.inc({ category }),
  }
  const executeDeps = { log: eventLog, keys, tenant, observe }
  const { load } = createExecute(executeDeps)
  const markMs = revocationMarkMs(config.ACCESS_TOKEN_SECONDS)
  const onSkipped = () => redisSkips.inc({ purpose: 'revocation' })
  const claimsOnlyPermitted = createClaimsCheck({ load })
  const revocations = scope.add(
    'revocations',
    createRevocations({ redis, load, claimsOnlyPermitted, eventLog, log, markMs, onSkipped }),
    (open) => open.close(),
  )
  const execute = createExecute({ ...executeDeps, watch: revocations })
  const anchors = counter(
    metrics,
    'annals_command_audit_anchors_total',
    'Turns in which the audit trail was to be anchored',
    ['outcome'],
  )
  for (const outcome of anchorOutcomes) anchors.inc({ outcome }, 0)
  if (config.AUDIT_ANCHOR_SECONDS > 0) {
    const onOutcome = (outcome: AnchorOutcome) => anchors.inc({ outcome })
    const anchoring = startAnchoring(
      { log: eventLog, execute, now, logger: log, onOutcome },
      config.AUDIT_ANCHOR_SECONDS * 1_000,
    )
    scope.add('audit anchors', anchoring, (open) => open.stop())
  }
  const inFlight = createInFlight({
    max: commandsInFlightMax,
    purposeMax: commandsPerPurposeMax,
    principalMax: commandsPerPrincipalMax,
  })
  const unknownPeppers = counter(
    metrics,
    'annals_command_password_keys_missing_total',
    'Passwords that were refused because PASSWORD_PEPPER lacks the key of their hash',
  )
  const passwords = createPasswords({
    cost: config.BCRYPT_COST,
    peppers: peppersOf(config.PASSWORD_PEPPER),
    concurrency: Math.min(passwordConcurrencyMax, availableParallelism()),
    queueMax: passwordQueueMax,
    onUnknownKey(keyId) {
      unknownPeppers.inc()
      log.error({ keyId }, 'a password was refused: PASSWORD_PEPPER lacks the key of its hash')
    },
  })
  const rehashes = counter(
    metrics,
    'annals_command_password_rehashes_total',
    'Passwords that were hashed anew after a login, as form, key or cost had changed',
    ['outcome'],
  )
  const rehash = scope.add(
    'rehash',
    createRehash({
      execute,
      passwords,
      now,
      onOutcome(outcome, error) {
        rehashes.inc({ outcome })
        if (outcome === 'failed') log.warn({ err: error }, 'a password was not hashed anew; the next login tries again')
      },
    }),
    (open) => open.close(),
  )
  const accessTokens = await createAccessTokens({
    privateJwk: config.JWT_PRIVATE_JWK,
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    lifeSeconds: config.ACCESS_TOKEN_SECONDS,
  })
  const refreshTokens = createRefreshTokens(config.REFRESH_TOKEN_KEY, tenant)
  const addressHash = createAddressHash(config.RESERVATION_KEY, tenant)
  const fingerprint = createFingerprint(config.RESERVATION_KEY)
  const challengeSecrets = createChallengeSecrets(config.RESERVATION_KEY, tenant)
  const challenges = createChallenges({ execute, keys, secrets: challengeSecrets, tenant })
  scope.add('key expiry', createKeyExpiry(keys, log), (open) => open.close())
  const checked = counter(
    metrics,
    'annals_command_password_checks_total',
    'Passwords that were compared, and verdicts',
    ['purpose', 'verdict'],
  )
  const limits = createRateLimits({ table: config.RATE_LIMITS, shared: createRedisWindows(redis), metrics })
  const acquaintances = createAcquaintances(redis)
  const checkPassword = createPasswordCheck({
    throttle: createGuessThrottle({
      limits,
      acquaintances,
      onSilent: () => redisSkips.inc({ purpose: 'trust' }),
    }),
    passwords,
    onVerdict({ purpose, verdict, ...who }) {
      checked.inc({ purpose, verdict })
      // What was right is in the log of events, as a session.
      if (verdict !== 'right') log.info({ security: 'password-check', purpose, verdict, ...who }, 'password check')
    },
  })
  const paymentGateway = createHttpPaymentGateway({
    baseUrl: config.PAYMENT_GATEWAY_URL,
    timeoutMs: config.PAYMENT_GATEWAY_TIMEOUT_MS,
    token: config.PAYMENT_GATEWAY_TOKEN,
  })
  gauge(metrics, 'annals_command_running_commands', 'Commands that run now', [], (it) => it.set(inFlight.size))
  const passwordJobs = 'Password hashes that run or wait now'
  gauge(metrics, 'annals_command_password_jobs', passwordJobs, [], (it) => it.set(passwords.load))

  const permissionsOf = createPermissionsOf(execute)
  const issueTokens = createIssueTokens({ accessTokens, refreshTokens, permissionsOf })
  const openSession = createOpenSession({ execute, issueTokens, now, sessionSeconds: config.SESSION_SECONDS })
  const countAttempt = createCountAttempt(limits)
  const factors = createFactors({
    execute,
    challenges,
    inFlight,
    tenant,
    now,
    key: config.REFRESH_TOKEN_KEY,
    passkeySettings: {
      rpId: config.WEBAUTHN_RP_ID,
      origins: config.WEBAUTHN_ORIGINS,
      rpName: config.PRODUCT_NAME,
    },
    countAttempt,
  })
  const { ceremonies } = factors
  const finishLogin = createFinishLogin({ openSession, ceremonies, now })
  const shared = {
    ...factors,
    finishLogin,
    execute,
    keys,
    passwords,
    checkPassword,
    rehash,
    addressHash,
    fingerprint,
    inFlight,
    countAttempt,
    tenant,
    now,
    accessTokens,
    refreshTokens,
    issueTokens,
    openSession,
    challenges,
    commonPasswords,
    acquaintances,
    log,
  }
  const owners = createOwnerCommands(shared)
  scope.add('links', owners.background, (open) => open.close())
  const browsers = browserRulesOf(config)
  const attempts = createAttempts(shared)
  const deps = {
    register: createRegistration(shared),
    ...owners,
    attempts,
    registrationMode: config.REGISTRATION_MODE,
    verifyEmail: createVerifyEmail({ attempts, openSession }),
    login: createLogin(shared),
    secondFactor: createSecondFactor(shared),
    factors: factors.factors,
    passkeys: factors.passkeys,
    stepUp: createStepUp({ ...shared, ...owners }),
    sessions: createSessionCommands(shared),
    payments: createPaymentCommands({
      ...shared,
      paymentGateway,
      paymentGatewayKeyHours: config.PAYMENT_GATEWAY_KEY_HOURS,
      onPaymentGatewayAnswer: (outcome) => paymentGatewayAnswers.inc({ outcome }),
    }),
    accessTokens,
    tokenCookies:
      browsers.cookies && createTokenCookies({ ...browsers.cookies, refreshSeconds: config.SESSION_SECONDS }),
    consistencyTokens: createConsistencyTokens(
      eventLog,
      createSignedText(config.CONSISTENCY_TOKEN_KEY, consistencyTokenPurpose),
    ),
  }
  ready({ eventLog: () => eventLog.head(), postgres: () => pool.query('select 1') })
  // Without it each process counts requests and guesses by itself, and sessions are looked up in the log.
  degraded({ redis: () => redis.ping() })
  const app = buildApp({
    log,
    metrics,
    limits,
    trustedProxies: config.TRUSTED_PROXIES,
    browsers,
    deps,
    authenticate: createAuthenticator({
      keys: accessTokens.publicKey,
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
      claims: AccessTokenClaims,
      verdictOn: revocations.verdictOn,
    }),
  })
  return scope.add('HTTP', app, (open) => open.close())
}
