import { z } from 'zod'
import {
  CreatePaymentRequest,
  CreatePaymentResponse,
  IdempotencyKey,
  LoginRequest,
  PaymentId,
  ProcessPaymentResponse,
  RefreshRequest,
  RegisterRequest,
  RegisterResponse,
  TokenResponse,
  ValidateResponse,
  type RouteDescription,
} from '@annals/contracts'

const optionalKey = IdempotencyKey.optional().describe(
  'A repeat with the same key and body is answered as the first was',
)
const requiredKey = IdempotencyKey.describe('Your name for this payment: a repeat with it is the same payment')
const ifMatch = z
  .string()
  .regex(/^"\d{1,15}"$/, 'must be one ETag such as "3"')
  .optional()
  .describe('Revision that was seen; refused when it is another one by now')

/** A payment of nothing is refused where the client can see which field is wrong. */
const PaymentBody = CreatePaymentRequest.refine(({ amount }) => /[1-9]/.test(amount), {
  path: ['amount'],
  message: 'must be more than zero',
})

const always = ['invalid-request', 'internal-error', 'dependency-unavailable', 'overloaded'] as const
const withBody = ['payload-too-large', 'unsupported-media-type'] as const
const withToken = ['unauthenticated', 'session-ended'] as const
/** Of routes that open or seal what is personal. */
const withPersonal = ['personal-data-locked'] as const
/** Of routes that read or write a stream that may have been deleted in the log. */
const withStream = ['deleted'] as const
const withKey = ['idempotency-key-reused', 'command-in-progress'] as const

/** What the command API answers to. Requests are validated by these schemas; the OpenAPI document is made from them. */
export const commandRoutes = {
  register: {
    method: 'POST',
    path: '/api/v1/auth/register',
    summary: 'Register a person; an e-mail address can be registered once',
    tag: 'auth',
    auth: 'none',
    headers: z.object({ 'idempotency-key': optionalKey }),
    body: RegisterRequest,
    response: { status: 201, schema: RegisterResponse },
    problems: [
      'email-taken',
      'password-too-common',
      ...withStream,
      ...withPersonal,
      ...withKey,
      ...withBody,
      ...always,
    ],
  },
  login: {
    method: 'POST',
    path: '/api/v1/auth/login',
    summary: 'Begin a session: an access token, and a refresh token for the next one',
    tag: 'auth',
    auth: 'none',
    body: LoginRequest,
    response: { status: 200, schema: TokenResponse },
    problems: ['invalid-credentials', 'too-many-requests', ...withStream, ...withPersonal, ...withBody, ...always],
  },
  refresh: {
    method: 'POST',
    path: '/api/v1/auth/refresh',
    summary: 'Exchange a refresh token for new tokens; one that was used before ends the session',
    tag: 'auth',
    auth: 'none',
    body: RefreshRequest,
    response: { status: 200, schema: TokenResponse },
    problems: ['invalid-refresh-token', 'session-ended', ...withStream, ...withBody, ...always],
  },
  logout: {
    method: 'POST',
    path: '/api/v1/auth/logout',
    summary: 'End the session of the access token',
    tag: 'auth',
    auth: 'user',
    response: { status: 204 },
    problems: [...withStream, ...withToken, ...always],
  },
  validate: {
    method: 'GET',
    path: '/api/v1/auth/validate',
    summary: 'Say whether the access token is valid and its session has not ended',
    tag: 'auth',
    auth: 'user',
    response: { status: 200, schema: ValidateResponse },
    problems: [...withToken, ...always],
  },
  jwks: {
    method: 'GET',
    path: '/.well-known/jwks.json',
    summary: 'The public keys that check access tokens (RFC 7517)',
    tag: 'auth',
    auth: 'none',
    response: { status: 200, schema: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) },
    problems: ['internal-error'],
  },
  createPayment: {
    method: 'POST',
    path: '/api/v1/payments',
    summary: 'Create a payment; nothing is charged yet',
    tag: 'payments',
    auth: 'user',
    headers: z.object({ 'idempotency-key': requiredKey }),
    body: PaymentBody,
    response: { status: 201, schema: CreatePaymentResponse },
    problems: [
      'idempotency-key-required',
      'amount-not-representable',
      'amount-too-large',
      'card-number-refused',
      'user-not-found',
      ...withStream,
      ...withPersonal,
      ...withKey,
      ...withToken,
      ...withBody,
      ...always,
    ],
  },
  processPayment: {
    method: 'POST',
    path: '/api/v1/payments/:paymentId/process',
    summary:
      'Charge a payment once; while the status is "unknown", ask again: the gateway is asked after the same charge',
    tag: 'payments',
    auth: 'user',
    params: z.strictObject({ paymentId: PaymentId }),
    headers: z.object({ 'idempotency-key': optionalKey, 'if-match': ifMatch }),
    response: { status: 200, schema: ProcessPaymentResponse },
    problems: [
      'payment-not-found',
      'payment-not-processable',
      ...withStream,
      'revision-mismatch',
      'concurrent-change',
      ...withKey,
      ...withToken,
      ...always,
    ],
  },
} as const satisfies Record<string, RouteDescription>

export type CommandRoutes = typeof commandRoutes
export type CommandRouteName = keyof CommandRoutes
