import { z } from 'zod'
import { RegisterRequest, RegisterResponse, type AnnalsApi } from '@annals/contracts'
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
import type { createRegistration } from './commands/registration'

export interface AccountRouteDeps {
  register: ReturnType<typeof createRegistration>
  consistencyTokens: ConsistencyTokens
}

const defineRoute = routeDefiner<AnnalsApi, AccountRouteDeps>()

const registerRoute = defineRoute({
  operationId: 'register',
  method: 'POST',
  path: '/api/v1/auth/register',
  summary: 'Register a person; an e-mail address can be registered once',
  tag: 'auth',
  permission: 'public',
  rateLimit: 'registration',
  headers: z.object({ 'idempotency-key': optionalIdempotencyKey }),
  body: RegisterRequest,
  response: { status: 201, schema: RegisterResponse },
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
  async handle(request, { register, consistencyTokens }) {
    const registered = await register(requestOf(request), { ...request.body, ip: request.ip })
    return {
      body: { userId: registered.userId, consistencyToken: await consistencyTokens.of(registered) },
      headers: { location: `/api/v1/users/${registered.userId}`, etag: etagOf(registered.revision) },
    }
  },
})

export const accountRoutes = [registerRoute]
