import {
  ChallengeSent,
  Changed,
  ChangeConsentsRequest,
  ChangePhoneRequest,
  ChangeProfileRequest,
  CodeAnswer,
  consents,
  ConsentsResponse,
  type AnnalsApi,
  type Consent,
} from '@annals/contracts'
import { routeDefiner } from '@annals/platform/api'
import { requestOf, withAccount, withPersonal, withShare, withStream } from '../core/command-routes'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { createProfileCommands } from './commands/profile'
import type { Account } from './domain/user'

export interface ProfileRouteDeps {
  profileCommands: ReturnType<typeof createProfileCommands>
  consistencyTokens: ConsistencyTokens
}

const defineRoute = routeDefiner<AnnalsApi, ProfileRouteDeps>()

const withOwn = [...withAccount, ...withShare, ...withStream, ...withPersonal] as const

const changeProfile = defineRoute({
  operationId: 'changeProfile',
  method: 'PATCH',
  path: '/api/v1/users/me',
  summary: 'Change name, language or time zone; what is left out stays',
  tag: 'me',
  permission: 'own',
  rateLimit: 'commands',
  body: ChangeProfileRequest,
  response: { status: 200, schema: Changed },
  problems: ['too-many-changes', ...withOwn],
  examples: { move: { request: { locale: 'es', timeZone: 'Europe/Madrid' } } },
  async handle(request, { profileCommands, consistencyTokens }) {
    const changed = await profileCommands.change(requestOf(request), request.principal, request.body)
    return { body: { consistencyToken: await consistencyTokens.of(changed) } }
  },
})

const changePhone = defineRoute({
  operationId: 'changePhone',
  method: 'POST',
  path: '/api/v1/users/me/phone',
  summary: 'Ask for another phone number: the code that comes there has to be sent back',
  tag: 'me',
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'password-reset',
  body: ChangePhoneRequest,
  response: { status: 202, schema: ChallengeSent },
  problems: [...withOwn],
  examples: { change: { request: { phone: '+34600123456' } } },
  async handle(request, { profileCommands }) {
    return { body: await profileCommands.askPhone(requestOf(request), request.principal, request.body.phone) }
  },
})

const confirmPhone = defineRoute({
  operationId: 'confirmPhone',
  method: 'POST',
  path: '/api/v1/users/me/phone/confirm',
  summary: 'Prove the new phone number: it is that of the account from then on',
  tag: 'me',
  permission: 'own',
  rateLimit: 'secrets',
  body: CodeAnswer,
  response: { status: 200, schema: Changed },
  problems: ['challenge-failed', 'too-many-changes', ...withOwn],
  examples: { code: { request: { challengeId: '0197c0de-0000-7000-8000-000000000001', code: '123456' } } },
  async handle(request, { profileCommands, consistencyTokens }) {
    const changed = await profileCommands.confirmPhone(requestOf(request), request.principal, request.body)
    return { body: { consistencyToken: await consistencyTokens.of(changed) } }
  },
})

const removePhone = defineRoute({
  operationId: 'removePhone',
  method: 'DELETE',
  path: '/api/v1/users/me/phone',
  summary: 'Have no phone number any more',
  tag: 'me',
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'commands',
  response: { status: 204 },
  problems: ['too-many-changes', ...withOwn],
  async handle(request, { profileCommands }) {
    await profileCommands.removePhone(requestOf(request), request.principal)
    return {}
  },
})

const consentsBody = (given: Account['consents']) => ({
  consents: Object.fromEntries(
    Object.keys(consents).map((name) => [name, { isGiven: Object.hasOwn(given, name), givenAt: given[name] ?? null }]),
  ) as Record<Consent, { isGiven: boolean; givenAt: string | null }>,
})

const readConsents = defineRoute({
  operationId: 'readConsents',
  method: 'GET',
  path: '/api/v1/users/me/consents',
  summary: 'What you agree to, and since when; read from the log, so it is as new as can be',
  tag: 'me',
  permission: 'own',
  rateLimit: 'queries',
  response: { status: 200, schema: ConsentsResponse },
  problems: [...withOwn],
  async handle(request, { profileCommands }) {
    return { body: consentsBody(await profileCommands.consents(requestOf(request), request.principal)) }
  },
})

const changeConsents = defineRoute({
  operationId: 'changeConsents',
  method: 'PUT',
  path: '/api/v1/users/me/consents',
  summary: 'Agree to something, or not any more; what is left out stays',
  tag: 'me',
  permission: 'own',
  rateLimit: 'commands',
  body: ChangeConsentsRequest,
  response: { status: 200, schema: ConsentsResponse },
  problems: ['too-many-changes', ...withOwn],
  examples: { news: { request: { consents: { 'product-news': true } } } },
  async handle(request, { profileCommands }) {
    const { consents: wanted } = request.body
    return { body: consentsBody(await profileCommands.changeConsents(requestOf(request), request.principal, wanted)) }
  },
})

export const profileRoutes = [changeProfile, changePhone, confirmPhone, removePhone, readConsents, changeConsents]
