import { RateLimitSettings } from '@annals/contracts'
import { field, httpFields, processFields, kafkaFields, redisFields } from '@annals/platform/config'
import { z } from 'zod'
import { mailDomainOf } from './channels/email/smtp'
import { emailRetrySchedule } from './delivery/schedule'

const list = z.string().transform((text) => text.split(',').map((part) => part.trim()))

/** The environment of the notifier. `.env.example` explains each variable. */
export const Config = z.object({
  ...processFields(3104),
  ...httpFields(3004),
  ...kafkaFields,
  ...redisFields,
  EVENTSTORE_URL: field.url('esdb', 'esdb+discover'),
  NOTIFIER_DATABASE_URL: field.url('postgres', 'postgresql'),
  SUBJECT_KEYS_DATABASE_URL: field.url('postgres', 'postgresql'),
  MASTER_KEY: field.keys256(),
  JWKS_URL: field.url('http', 'https'),
  JWT_ISSUER: z.string().min(1),
  JWT_AUDIENCE: z.string().min(1),
  RATE_LIMITS: RateLimitSettings,
  /** Proxies in front whose `X-Forwarded-For` is believed. */
  TRUSTED_PROXIES: field.trustedProxies(),

  SMTP_URL: field.url('smtp', 'smtps'),
  MAIL_FROM: z
    .string()
    .refine((from) => mailDomainOf(from) !== undefined, 'must end with an address, "Name <a@b.example>"'),
  /** What links in messages begin with: where people use Annals. */
  PUBLIC_URL: field.url('http', 'https'),
  /** Mails at the same time; mail relays commonly allow ten connections. */
  MAIL_CONCURRENCY: field.integer(10, 1, 50),
  /** Seconds between attempts, comma separated. */
  MAIL_RETRY_SECONDS: list
    .pipe(z.array(z.coerce.number<string>().int().min(1).max(86_400)).min(1).max(20))
    .default([...emailRetrySchedule]),
  /** An attempt without an answer ends then. Below the 20 s in which a process has to stop. */
  ATTEMPT_TIMEOUT_MS: field.integer(15_000, 1_000, 18_000),

  TWILIO_ACCOUNT_SID: z
    .string()
    .regex(/^AC[0-9a-f]{32}$/, 'must be "AC" and 32 hex digits')
    .optional(),
  TWILIO_AUTH_TOKEN: z.string().min(1).optional(),
  TWILIO_FROM: z
    .string()
    .regex(/^\+\d{7,15}$/, 'must be a number in E.164 form, "+15005550006"')
    .optional(),
  TWILIO_BASE_URL: field.url('http', 'https').optional(),

  /** Topics and group are configurable for a new topic version, which is read beside the old one at first. */
  NOTIFIER_TOPICS: list
    .pipe(z.array(z.string().regex(/^[\w.-]{1,200}$/)).min(1))
    .default(['annals.users', 'annals.challenges', 'annals.payments']),
  NOTIFIER_GROUP: z.string().min(1).max(200).default('annals.notifier'),
  /** Facts from before this time send nothing: for a notifier that begins on topics with a past. */
  NOTIFY_FROM: z.iso.datetime().optional(),
  /** Nor do facts older than this when they are first seen. Three days: a weekend's outage is caught up with. */
  NOTIFY_AGE_HOURS_MAX: field.integer(72, 1, 8_760),
})
export type Config = z.infer<typeof Config>

/** All of Twilio's variables, or `undefined`: then there is no SMS channel. `TWILIO_BASE_URL` is for sandboxes only. */
export function twilioOf(config: Config) {
  const { TWILIO_ACCOUNT_SID: accountSid, TWILIO_AUTH_TOKEN: authToken, TWILIO_FROM: from } = config
  return accountSid && authToken && from ? { accountSid, authToken, from, baseUrl: config.TWILIO_BASE_URL } : undefined
}
