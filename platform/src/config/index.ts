import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { parseTrustedProxies } from '../client-address'
import { policyFaults } from './policy'

/** The configuration is wrong. The message names every faulty variable and what is expected, and no value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads a process's configuration, whole.
 * @param schema one field per environment variable.
 * @param env `process.env`, handed in by a `main` file.
 * @throws ConfigError with all faults together: what is missing or malformed, and what production refuses (`policy.ts`).
 */
export function readConfig<Schema extends z.ZodObject>(schema: Schema, env: NodeJS.ProcessEnv): z.infer<Schema> {
  const given = Object.fromEntries(
    Object.keys(schema.shape).map((name) => [name, env[name] === '' ? undefined : env[name]]),
  )
  const result = schema.safeParse(given)
  // Where this runs is known to every process, also to one whose schema does not ask for it.
  const refused = policyFaults(given, env['ENVIRONMENT'])
  if (result.success && refused.length === 0) return result.data
  const faults = (result.error?.issues ?? []).map((issue) => {
    const name = String(issue.path[0])
    return `${name}: ${given[name] === undefined ? 'is not set' : issue.message}`
  })
  const lines = [...faults, ...refused].map((fault) => `  ${fault}`)
  const what = faults.length > 0 ? 'is not complete' : 'is refused'
  throw new ConfigError(`The configuration ${what}; see .env.example.\n${lines.join('\n')}`)
}

/** Keys of one purpose: the one in use, the next or the former one, and room for a rotation that was not finished. */
const keysMax = 8

/** Scheme, host and port, nothing else, as a browser writes them: `*` and `null` are none. */
const isOrigin = (text: string): boolean =>
  /^https?:\/\/[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text

/** Field kinds that several services use. */
export const field = {
  port: (standard: number) => z.coerce.number().int().min(0).max(65535).default(standard),
  url: (...protocols: string[]) =>
    z
      .string()
      .refine(
        (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol.slice(0, -1)),
        `must be a URL that begins with ${protocols.map((p) => `${p}://`).join(' or ')}`,
      ),
  /** 32 bytes in base64: `openssl rand -base64 32` makes one. */
  key256: () =>
    z
      .string()
      .refine(
        (text) => Buffer.from(text, 'base64').length === 32,
        'must be 32 bytes in base64 (openssl rand -base64 32)',
      )
      .transform((text) => Buffer.from(text, 'base64')),
  /** One key of 32 bytes in base64, or several with commas between: the first is for what is written, all are for what is read. */
  keys256: () =>
    z
      .string()
      .transform((text) => text.split(',').map((key) => Buffer.from(key.trim(), 'base64')))
      .refine(
        (keys) => keys.every((key) => key.length === 32),
        'must be 32 bytes in base64 (openssl rand -base64 32), or several with commas between',
      )
      .refine((keys) => keys.length <= keysMax, `must be ${keysMax} keys at most`)
      .refine(
        (keys) => new Set(keys.map((key) => key.toString('hex'))).size === keys.length,
        'must not name a key twice',
      )
      .transform((keys) => keys as [Buffer, ...Buffer[]]),
  flag: () =>
    z
      .enum(['true', 'false'], 'must be true or false')
      .default('false')
      .transform((text) => text === 'true'),
  /** The text of a file of certificates. */
  pemFile: () =>
    z.string().transform((path, context) => {
      try {
        const text = readFileSync(path, 'utf8')
        if (text.includes('-----BEGIN CERTIFICATE-----')) return text
        context.addIssue({ code: 'custom', message: 'must name a file of certificates (PEM)' })
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        context.addIssue({ code: 'custom', message: `must name a file of certificates that can be read (${code})` })
      }
      return z.NEVER
    }),
  brokers: () =>
    z
      .string()
      .transform((text) => text.split(',').map((broker) => broker.trim()))
      .pipe(z.array(z.string().regex(/^[^\s:]+:\d{1,5}$/, 'must be host:port, comma separated')).min(1)),
  integer: (standard: number, min: number, max: number) => z.coerce.number().int().min(min).max(max).default(standard),
  /** Addresses and networks of proxies, comma separated. Default: none. */
  trustedProxies: () =>
    z
      .string()
      .default('')
      .transform((text, context) => {
        const proxies = parseTrustedProxies(text)
        if (proxies) return proxies
        context.addIssue({
          code: 'custom',
          message: 'must be addresses or networks of proxies, such as 10.0.0.0/8,fd00::/8; a count of proxies is none',
        })
        return z.NEVER
      }),
  /** Origins of pages as browsers write them, comma separated. Default: none. */
  origins: () =>
    z
      .string()
      .default('')
      .transform((text) => text.split(',').map((origin) => origin.trim()))
      .transform((origins) => origins.filter((origin) => origin !== ''))
      .refine(
        (origins) => origins.every(isOrigin),
        'must be origins as browsers write them, such as https://app.example.org; neither * nor null, no path, no standard port',
      ),
  logLevel: () => z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
}

/**
 * What every process needs.
 * @param operationsPort default of the port where it answers `/healthz`, `/readyz` and `/metrics`; another for each process, so
 *   that they run beside each other on one machine.
 */
export const processFields = (operationsPort: number) => ({
  LOG_LEVEL: field.logLevel(),
  ENVIRONMENT: z.string().default('development'),
  OPERATIONS_HOST: z.string().default('127.0.0.1'),
  OPERATIONS_PORT: field.port(operationsPort),
  OTEL_EXPORTER_OTLP_ENDPOINT: field.url('http', 'https').optional(),
})

export type ProcessFields = ReturnType<typeof processFields>

/** What a process with an API needs beside that. @param port default of the port where its clients reach it. */
export const httpFields = (port: number) => ({
  HTTP_HOST: z.string().default('127.0.0.1'),
  HTTP_PORT: field.port(port),
  /** For how long browsers come by https only, in seconds; 0: they are not told. A year; two at most, as lists of browsers ask for. */
  HSTS_SECONDS: field.integer(365 * 86_400, 0, 2 * 365 * 86_400),
  /** Pages of other origins that may use the API; with cookies also the API's own origin, if pages of it use them. */
  CORS_ORIGINS: field.origins(),
  /** Whether tokens may come as cookies. */
  COOKIE_MODE: z.enum(['on', 'off'], 'must be on or off').default('off'),
  /** Makes the proofs that requests with cookies need; the same for all APIs. */
  CSRF_KEY: field.key256().optional(),
})

/** The way to Kafka; `kafkaConnection` of the kafka folder makes of it what its clients take. */
export const kafkaFields = {
  KAFKA_BROKERS: field.brokers(),
  KAFKA_TLS: field.flag(),
  /** Beside the public ones: for brokers whose certificates a CA of your own has signed. */
  KAFKA_TLS_CA: field.pemFile().optional(),
  KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
  KAFKA_SASL_USERNAME: z.string().min(1).optional(),
  KAFKA_SASL_PASSWORD: z.string().min(1).optional(),
}

/** The way to Redis. */
export const redisFields = {
  REDIS_URL: field.url('redis', 'rediss'),
  /** For a server whose certificate a CA of your own has signed. */
  REDIS_TLS_CA: field.pemFile().optional(),
}
