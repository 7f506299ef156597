import type { JWK } from 'jose'
import { z } from 'zod'
import { RateLimitSettings } from '@annals/contracts'
import { accessTokenSecondsMax } from '@annals/platform/access-tokens'
import { field, httpFields, processFields, redisFields } from '@annals/platform/config'

/** What the log and the sealed data in it need. */
export const logFields = {
  TENANT: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .default('main'),
  EVENTSTORE_URL: field.url('esdb', 'esdb+discover'),
  COMMAND_DATABASE_URL: field.url('postgres', 'postgresql'),
  MASTER_KEY: field.keys256(),
  SECRETS_MASTER_KEY: field.keys256(),
  RESERVATION_KEY: field.key256(),
}

const privateJwk = z
  .string()
  .transform((text, context): JWK => {
    try {
      return JSON.parse(text) as JWK
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a JWK as JSON' })
      return z.NEVER
    }
  })
  .refine((jwk) => jwk.kty === 'OKP' && jwk.crv === 'Ed25519' && typeof jwk.d === 'string', {
    message: 'must be a private key, OKP on Ed25519',
  })

/** An origin as browsers tell it: scheme, host and port, nothing behind. */
const origins = z
  .string()
  .transform((text) => text.split(',').map((origin) => origin.trim()))
  .refine((all) => all.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin), {
    message: 'must be origins by commas, such as https://app.example.org',
  })

interface MasterKeyFields {
  MASTER_KEY: Buffer[]
  SECRETS_MASTER_KEY: Buffer[]
}

/** One key for both would let every reader of personal data open secrets. */
export const hasSeparateMasterKeys = ({ MASTER_KEY, SECRETS_MASTER_KEY }: MasterKeyFields): boolean =>
  !MASTER_KEY.some((key) => SECRETS_MASTER_KEY.some((secret) => secret.equals(key)))
export const separateMasterKeys = { path: ['SECRETS_MASTER_KEY'], error: 'must hold no key of MASTER_KEY' }

/** The command API's configuration; `.env.example` explains each. */
export const CommandConfig = z
  .object({
    ...processFields(3100),
    ...httpFields(3000),
    ...logFields,
    ...redisFields,
    REFRESH_TOKEN_KEY: field.key256(),
    /** The first key makes hashes of passwords, all of them compare. */
    PASSWORD_PEPPER: field.keys256(),
    /** The query API has the same: it believes no token that was not signed with it. */
    CONSISTENCY_TOKEN_KEY: field.key256(),
    JWT_PRIVATE_JWK: privateJwk,
    JWT_ISSUER: z.string().min(1),
    JWT_AUDIENCE: z.string().min(1),
    ACCESS_TOKEN_SECONDS: field.integer(15 * 60, 60, accessTokenSecondsMax),
    SESSION_SECONDS: field.integer(30 * 86_400, 60, 365 * 86_400),
    /** Whether an account begins when its address is proved, or at once; the second tells which addresses have one. */
    REGISTRATION_MODE: z.enum(['verify-first', 'open']).default('verify-first'),
    /** Below 10 a hash is guessed too fast, above 15 a login takes seconds. */
    BCRYPT_COST: field.integer(12, 10, 15),
    RATE_LIMITS: RateLimitSettings,
    /** Shown by authenticator apps and passkeys. */
    PRODUCT_NAME: z.string().min(1).max(64).default('Annals'),
    /** Domain that passkeys are bound to, for ever. */
    WEBAUTHN_RP_ID: z
      .string()
      .regex(/^(localhost|([a-z0-9-]+\.)+[a-z]{2,})$/, 'must be a domain, such as example.org')
      .default('localhost'),
    /** Pages that may ask for passkeys, by commas. */
    WEBAUTHN_ORIGINS: origins.default(['http://localhost:3000']),
    /** Base URL of the payment gateway; the sandbox of `npm start` listens on http://127.0.0.1:3010. */
    PAYMENT_GATEWAY_URL: field.url('http', 'https'),
    /** Its credentials: a token from the payment gateway's own console. */
    PAYMENT_GATEWAY_TOKEN: z.string().min(1).optional(),
    PAYMENT_GATEWAY_TIMEOUT_MS: field.integer(10_000, 100, 60_000),
    /** How long the payment gateway remembers the key of a charge for certain; an hour less than Stripe promises. */
    PAYMENT_GATEWAY_KEY_HOURS: field.integer(23, 1, 24 * 365),
    /** Between anchors of the audit trail; 0: this process makes none. */
    AUDIT_ANCHOR_SECONDS: field.integer(300, 0, 86_400),
    /** Proxies in front whose `X-Forwarded-For` is believed. */
    TRUSTED_PROXIES: field.trustedProxies(),
  })
  .refine(hasSeparateMasterKeys, separateMasterKeys)
export type CommandConfig = z.infer<typeof CommandConfig>
