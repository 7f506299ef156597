import { z } from 'zod'
import { Locale, Role } from '../events/user'
import { PaymentFailureCode, PaymentMethod } from '../events/payment'
import { PaymentId, SessionId, UserId } from '../ids'
import { Currency, DecimalAmount } from '../money'

/** Send it back to a query as the header `Consistency-Token`: the answer will not be older than this command. */
const consistencyToken = z.string().describe('Opaque; a query that sends it back sees at least this change')

/**
 * 12 to 72 bytes: the least that NIST SP 800-63B-4 would have beside a blocklist (§ 3.1.1.2 asks 15 alone, 8 with a second
 * factor), and the most that bcrypt reads: a longer password would be cut in silence.
 */
export const Password = z
  .string()
  .min(12, 'must have at least 12 characters')
  .refine((password) => new TextEncoder().encode(password).length <= 72, 'must have at most 72 bytes in UTF-8')
  .refine((password) => !password.includes('\u0000'), 'must not contain a NUL character')

/** An address in the form in which it is compared: trimmed, lower case. */
export const EmailAddress = z.string().trim().max(254).toLowerCase().pipe(z.email('must be an e-mail address'))

export const RegisterRequest = z.strictObject({
  email: EmailAddress,
  password: Password,
  name: z.string().trim().min(1).max(200),
  locale: Locale.default('en'),
})
export const RegisterResponse = z.object({ userId: UserId, consistencyToken })

export const LoginRequest = z.strictObject({ email: EmailAddress, password: z.string().min(1).max(200) })
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
  method: PaymentMethod,
  description: z.string().trim().min(1).max(500).optional(),
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
