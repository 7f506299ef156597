import { z } from 'zod'
import { noCardNumber } from '../card-number'
import { EmailAddress, KnownEmailAddress } from '../email'
import { Locale, Role } from '../events/accounts'
import { PaymentFailureCode, PaymentMethod } from '../events/payments'
import { PaymentId, SessionId, UserId } from '../ids'
import { Currency, DecimalAmount } from '../money'
import { descriptionForm, nameForm, requestText } from '../text'

/** Send it back to a query as the header `Consistency-Token`: the answer will not be older than this command. */
const consistencyToken = z.string().describe('Opaque; a query that sends it back sees at least this change')

/** What bcrypt reads of a password: a longer one would be cut in silence. */
export const passwordBytesMax = 72

/** What a password may be in any spelling: longer ones are not looked at. A form other than C takes up to three times the room. */
const passwordUnitsMax = 200

/**
 * A password in the form in which it is compared: NFC, so that it is the same from every keyboard (NIST SP 800-63B-4 § 3.1.1.2).
 * What is no password (half of a surrogate pair, a NUL, too long) stays as it is: it is refused when it is set, and matches nothing.
 */
export const canonicalPassword = (password: string): string =>
  password.length <= passwordUnitsMax && password.isWellFormed() ? password.normalize('NFC') : password

/** Why no account can have this password; `undefined`: one may. */
export function passwordFault(password: string): string | undefined {
  if (!password.isWellFormed()) return 'must be well-formed Unicode: it holds half of a surrogate pair'
  if (password.includes('\0')) return 'must not contain a NUL character'
  if (new TextEncoder().encode(password).length > passwordBytesMax)
    return `must have at most ${passwordBytesMax} bytes in UTF-8`
  return undefined
}

/**
 * 12 characters to 72 bytes: the least that NIST SP 800-63B-4 would have beside a blocklist (§ 3.1.1.2 asks 15 alone, 8 with a
 * second factor), and the most that bcrypt reads. Kept in form C.
 */
export const Password = z
  .string()
  .overwrite(canonicalPassword)
  .min(12, 'must have at least 12 characters')
  .check(({ value, issues }) => {
    const fault = passwordFault(value)
    if (fault) issues.push({ code: 'custom', message: fault, input: value })
  })

export const RegisterRequest = z.strictObject({
  email: EmailAddress,
  password: Password,
  name: requestText(nameForm),
  locale: Locale.default('en'),
})
export const RegisterResponse = z.object({ userId: UserId, consistencyToken })

export const LoginRequest = z.strictObject({
  email: KnownEmailAddress,
  password: z.string().min(1).max(passwordUnitsMax),
})
export const RefreshRequest = z.strictObject({ refreshToken: z.string().min(1).max(400) })
export const TokenResponse = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiresIn: z.int().describe('Seconds until the access token expires'),
  refreshToken: z.string().describe('Valid once; the answer to its use brings the next one'),
  sessionId: SessionId,
  userId: UserId,
  consistencyToken,
})
export const ValidateResponse = z.object({
  active: z.literal(true),
  userId: UserId,
  sessionId: SessionId,
  roles: z.array(Role),
  expiresAt: z.iso.datetime(),
})

export const CreatePaymentRequest = z.strictObject({
  amount: DecimalAmount,
  currency: Currency,
  method: PaymentMethod.extend({
    token: PaymentMethod.shape.token
      .check(noCardNumber)
      .describe('As the gateway issued it; the number of a card is refused'),
  }),
  description: requestText(descriptionForm)
    .check(noCardNumber)
    .describe('Free text; the number of a payment card in it is refused')
    .optional(),
})
export const PaymentStatus = z.enum(['pending', 'processing', 'completed', 'failed', 'unknown'])
export type PaymentStatus = z.infer<typeof PaymentStatus>

export const CreatePaymentResponse = z.object({ paymentId: PaymentId, status: z.literal('pending'), consistencyToken })
export const ProcessPaymentResponse = z.object({
  paymentId: PaymentId,
  status: PaymentStatus,
  /** Set when `status` is `failed`. */
  failureCode: PaymentFailureCode.optional(),
  consistencyToken,
})

/** 1 to 128 visible ASCII characters, as in draft-ietf-httpapi-idempotency-key-header. */
export const IdempotencyKey = z.string().regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 visible ASCII characters')
