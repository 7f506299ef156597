import { Secret, TOTP } from 'otpauth'

/** What every authenticator app knows: HMAC-SHA-1, six digits, 30 seconds (RFC 6238 § 4, the defaults of `otpauth://`). */
const form = { algorithm: 'SHA1', digits: 6, period: 30 } as const
/** A code of the step before or after is taken: clocks differ, and people type slowly (RFC 6238 § 5.2). */
const stepsAround = 1
/** RFC 4226 § 4, R6 recommends 160 bits. */
const secretBytes = 20

export interface NewTotpSecret {
  /** Base32. */
  secret: string
  /** `otpauth://totp/…`, for a QR code. */
  uri: string
}

/**
 * @param issuer name of this service, and `account` of whose it is: both are shown by the app.
 */
export function newTotpSecret(issuer: string, account: string): NewTotpSecret {
  const secret = new Secret({ size: secretBytes })
  return { secret: secret.base32, uri: new TOTP({ ...form, issuer, label: account, secret }).toString() }
}

/**
 * The step whose code this is, counted from 1970 in 30 seconds; `undefined`: of none that is near.
 * @param at ISO 8601: now.
 */
export function totpStep(secret: string, code: string, at: string): number | undefined {
  const timestamp = Date.parse(at)
  const delta = TOTP.validate({
    ...form,
    token: code,
    secret: Secret.fromBase32(secret),
    timestamp,
    window: stepsAround,
  })
  return delta === null ? undefined : TOTP.counter({ period: form.period, timestamp }) + delta
}
