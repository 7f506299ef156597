/**
 * What settings must not say together, and what production must not run with. Pure: settings in, sentences out. `readConfig` tells
 * these faults with all others.
 */

/** The variables of a process as they were given; one that is missing or empty is `undefined`. */
export type Given = Readonly<Record<string, string | undefined>>

/** `ENVIRONMENT=production`, and every name that begins so or with `prod`, in whatever case: a typing error must not open doors. */
export const isProduction = (environment: string | undefined): boolean => /^\s*prod/i.test(environment ?? '')

/** @returns one line per fault, "NAME: what is wrong"; no value is in it. */
export function policyFaults(given: Given, environment: string | undefined): string[] {
  const faults = togetherFaults(given)
  if (!isProduction(environment)) return faults
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    for (const fault of productionRule(name)?.(value, given) ?? []) faults.push(`${name}: ${fault}`)
  }
  // Where a payment gateway is set, it is asked with credentials.
  if (given['PAYMENT_GATEWAY_URL'] !== undefined && given['PAYMENT_GATEWAY_TOKEN'] === undefined)
    faults.push('PAYMENT_GATEWAY_TOKEN: is not set, and production asks the payment gateway with credentials')
  for (const name of ['WEBAUTHN_RP_ID', 'WEBAUTHN_ORIGINS'])
    if (name in given && given[name] === undefined)
      faults.push(`${name}: is not set, and the default is for development: passkeys would be useless`)
  return [...faults, ...keyFaults(given)]
}

function togetherFaults(given: Given): string[] {
  const faults: string[] = []
  const sasl = ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD']
  const missing = sasl.filter((name) => given[name] === undefined)
  if (missing.length > 0 && missing.length < sasl.length)
    for (const name of missing) faults.push(`${name}: is not set, and SASL needs mechanism, username and password`)
  if (given['KAFKA_TLS_CA'] !== undefined && given['KAFKA_TLS'] !== 'true')
    faults.push('KAFKA_TLS_CA: has no effect unless KAFKA_TLS is true')
  if (given['REDIS_TLS_CA'] !== undefined && !given['REDIS_URL']?.startsWith('rediss://'))
    faults.push('REDIS_TLS_CA: has no effect unless REDIS_URL begins with rediss://')
  if (given['COOKIE_MODE'] === 'on')
    for (const name of ['CSRF_KEY', 'CORS_ORIGINS'].filter((needed) => given[needed] === undefined))
      faults.push(`${name}: is not set, and COOKIE_MODE=on needs it`)
  return faults
}

/** Says what is wrong with one setting; settings are read as the clients read them. */
type Rule = (value: string, given: Given) => string[]

const toOtherHosts = 'to another host than this one production needs'

const rules: Record<string, Rule> = {
  KAFKA_BROKERS: (value, given) =>
    given['KAFKA_TLS'] !== 'true' && value.split(',').some((broker) => !isThisMachine(hostOfBroker(broker)))
      ? [`${toOtherHosts} TLS: set KAFKA_TLS=true`]
      : [],
  REDIS_URL: byUrl((url) => (url.protocol === 'rediss:' ? [] : [`${toOtherHosts} TLS: rediss://`])),
  EVENTSTORE_URL: eventStoreFaults,
  SMTP_URL: (value) => [
    ...(isSandbox(value, ['1025']) ? ['is the mail sandbox, which delivers nothing'] : []),
    ...byUrl((url) =>
      (url.protocol === 'smtps:' || isTrue(url, 'requireTLS')) && verifies(url)
        ? []
        : [`${toOtherHosts} TLS that is checked: smtps:// or smtp://…?requireTLS=true, without tls.rejectUnauthorized`],
    )(value),
  ],
  PAYMENT_GATEWAY_URL: (value) => [
    ...(isSandbox(value, ['3010']) ? ['is the sandbox of the payment gateway, which takes no money'] : []),
    ...overHttps(value),
  ],
  TWILIO_BASE_URL: () => ['is for sandboxes; production speaks to Twilio itself'],
  JWKS_URL: overHttps,
  // Its links carry tokens.
  PUBLIC_URL: (value) =>
    /^https:/i.test(value)
      ? []
      : ['is what links with tokens begin with, and production serves them by https:// alone'],
  OTEL_EXPORTER_OTLP_ENDPOINT: overHttps,
  CORS_ORIGINS: (value) =>
    value.split(',').some((origin) => overHttps(origin.trim()).length > 0)
      ? ['has a page that came without TLS, and could have been changed on its way: https://']
      : [],
  WEBAUTHN_RP_ID: (value) => (value === 'localhost' ? ['is the one for development: passkeys would be useless'] : []),
  WEBAUTHN_ORIGINS: (value) =>
    value.split(',').some((origin) => !/^\s*https:/i.test(origin))
      ? ['must be origins over TLS: https://, or whoever is in between asks for passkeys']
      : [],
  JWT_ISSUER: (value) =>
    /^http:/i.test(value) || (URL.canParse(value) && isThisMachine(new URL(value).hostname))
      ? [
          'is the one for development: whoever reads a token must know which deployment made it, such as https://auth.example.org',
        ]
      : [],
}

function productionRule(name: string): Rule | undefined {
  return name.endsWith('_DATABASE_URL') || name === 'POSTGRES_ADMIN_URL' ? postgresFaults : rules[name]
}

function overHttps(value: string): string[] {
  return byUrl((url) => (url.protocol === 'https:' ? [] : [`${toOtherHosts} TLS: https://`]))(value)
}

/** A rule for addresses that lead off this machine. What is no URL is the schema's to refuse. */
function byUrl(rule: (url: URL) => string[]): (value: string) => string[] {
  return (value) => {
    if (!URL.canParse(value)) return []
    const url = new URL(value)
    return isThisMachine(url.hostname) ? [] : rule(url)
  }
}

/** pg takes host and port from the query before the address, and the last of several values. */
function postgresFaults(value: string): string[] {
  if (!URL.canParse(value)) return []
  const url = new URL(value)
  const host = url.searchParams.getAll('host').at(-1) ?? decoded(url.hostname)
  if (host.startsWith('/') || isThisMachine(host)) return []
  const modes = url.searchParams.getAll('sslmode')
  return modes.length > 0 && modes.every((mode) => mode === 'verify-full')
    ? []
    : [`${toOtherHosts} TLS that is checked: ?sslmode=verify-full, and sslrootcert=<file> for a CA of your own`]
}

function eventStoreFaults(value: string): string[] {
  if (!URL.canParse(value)) return []
  const url = new URL(value)
  const faults: string[] = []
  const setting = (wanted: string) =>
    [...url.searchParams].filter(([name]) => name.toLowerCase() === wanted).map(([, text]) => text.toLowerCase())
  if (!isThisMachine(url.hostname) && setting('tls').some((text) => text !== 'true'))
    faults.push(`${toOtherHosts} TLS: no tls=false, and tlsCAFile=<file> for a CA of your own`)
  if (setting('tlsverifycert').some((text) => text !== 'true')) faults.push('must not say tlsVerifyCert=false')
  if (url.username === 'admin' && decoded(url.password) === 'changeit')
    faults.push('has the password that every EventStoreDB begins with')
  return faults
}

/** Sandboxes of `npm start` and of docker-compose.yml: by their ports on this machine, by their names elsewhere. */
function isSandbox(value: string, ports: readonly string[]): boolean {
  if (!URL.canParse(value)) return false
  const { hostname, port } = new URL(value)
  return ports.includes(port) && (isThisMachine(hostname) || ['mail', 'payment-gateway', 'sms'].includes(hostname))
}

const isTrue = (url: URL, name: string) =>
  url.searchParams.getAll(name).every((text) => text === 'true') && url.searchParams.has(name)

/** nodemailer takes settings of the connection from the query: whatever it does not read as false turns one on. */
const verifies = (url: URL) =>
  [...url.searchParams].every(
    ([name, text]) =>
      (name !== 'tls.rejectUnauthorized' || text === 'true') && (name !== 'ignoreTLS' || text === 'false'),
  )

/** Of 127.0.0.0/8, ::1 and localhost. Names that merely begin so (127.0.0.1.example.org) are none of them. */
export function isThisMachine(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(bare)
}

/** A stray % is the schema's to refuse, or the client's. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const hostOfBroker = (broker: string) => broker.trim().replace(/:\d+$/, '')

/** Ed25519 keys that documents print as an example. RFC 8037, appendix A. */
const printedKeys = ['nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A']

const isKey = (name: string) => /_(KEYS?|PEPPER)$/.test(name)

function keyFaults(given: Given): string[] {
  const faults: string[] = []
  const usedBy = new Map<string, string>()
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (name === 'JWT_PRIVATE_JWK' && printedKeys.some((key) => value.includes(key)))
      faults.push(`${name}: is printed in a public document`)
    if (!isKey(name)) continue
    for (const key of value.split(',').map((text) => text.trim())) {
      const bytes = Buffer.from(key, 'base64')
      // 32 random bytes have about 30 different ones; 16 or fewer happen once in 10^11.
      if (bytes.length > 0 && new Set(bytes).size <= 16)
        faults.push(`${name}: is no random key (openssl rand -base64 32)`)
      const other = usedBy.get(bytes.toString('hex'))
      if (other !== undefined && other !== name) faults.push(`${name}: is the same key as ${other}; each needs its own`)
      usedBy.set(bytes.toString('hex'), name)
    }
  }
  return faults
}
