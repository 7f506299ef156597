import { z } from 'zod'
import { RegisterRequest, RegisterResponse, ResendRequest, ResendResponse, type AnnalsApi } from '@annals/contracts'
import { routeDefiner } from '@annals/platform/api'
import {
  etagOf,
  optionalIdempotencyKey,
  requestOf,
  withKey,
  withPersonal,
  withShare,
  withStream,
} from '../core/command-routes'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { Attempts } from './commands/attempts'
import type { createRegistration } from './commands/registration'

export interface AccountRouteDeps {
  register: ReturnType<typeof createRegistration>
  attempts: Pick<Attempts, 'begin' | 'resend'>
  registrationMode: 'verify-first' | 'open'
  consistencyTokens: ConsistencyTokens
}

const defineRoute = routeDefiner<AnnalsApi, AccountRouteDeps>()

const registerRoute = defineRoute({
  operationId: 'register',
  method: 'POST',
  path: '/api/v1/auth/register',
  summary:
    'Register a person. 202: a mail was sent, and the account begins when its address is proved; the same for an address that ' +
    'has one. With REGISTRATION_MODE=open 201: the account is there, or 409: the address has one',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'registration',
  headers: z.object({ 'idempotency-key': optionalIdempotencyKey }),
  body: RegisterRequest,
  response: { status: 202, others: [201], schema: RegisterResponse },
  problems: [
    'email-taken',
    'password-too-common',
    'password-too-short',
    ...withShare,
    ...withStream,
    ...withPersonal,
    ...withKey,
  ],
  examples: {
    registration: {
      request: { email: 'ada@example.org', password: 'correct horse battery', name: 'Ada Lovelace', locale: 'en' },
    },
  },
  async handle(request, { register, attempts, registrationMode, consistencyTokens }) {
    const input = { ...request.body, ip: request.ip }
    if (registrationMode === 'verify-first') return { body: await attempts.begin(requestOf(request), input) }
    const registered = await register(requestOf(request), input)
    return {
      status: 201,
      body: { userId: registered.userId, consistencyToken: await consistencyTokens.of(registered) },
      headers: { location: `/api/v1/users/${registered.userId}`, etag: etagOf(registered.revision) },
    }
  },
})

const resendVerification = defineRoute({
  operationId: 'resendVerification',
  method: 'POST',
  path: '/api/v1/auth/verify-email/resend',
  summary:
    'Send the mail of a registration again, with a new code; at most five times, and nobody is told when it is not',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'registration',
  body: ResendRequest,
  response: { status: 202, schema: ResendResponse },
  problems: [...withShare, ...withStream, ...withPersonal],
  examples: { resend: { request: { registrationId: '4e915742-7777-4444-8555-966677778888' } } },
  async handle(request, { attempts }) {
    const { registrationId } = request.body
    await attempts.resend(requestOf(request), registrationId, request.ip)
    return { body: { registrationId } }
  },
})

export const accountRoutes = [registerRoute, resendVerification]
