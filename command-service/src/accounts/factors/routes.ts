import {
  AddFactorRequest,
  AddPasskeyRequest,
  ConfirmTotpRequest,
  FactorParams,
  FactorsResponse,
  FactorView,
  PasskeyOptionsResponse,
  RecoveryCodesResponse,
  TotpResponse,
  type AnnalsApi,
} from '@annals/contracts'
import { routeDefiner } from '@annals/platform/api'
import { requestOf, withPersonal, withShare, withStream } from '../../core/command-routes'
import type { createFactorCommands } from './commands/factors'
import type { createPasskeyCommands } from './commands/passkeys'

export interface FactorRouteDeps {
  factors: ReturnType<typeof createFactorCommands>
  passkeys: ReturnType<typeof createPasskeyCommands>
}

const defineRoute = routeDefiner<AnnalsApi, FactorRouteDeps>()

const path = '/api/v1/users/me/factors'
const tag = 'factors'
/** Of every command about one's own account. */
const ofAccount = ['account-disabled', 'user-not-found', ...withShare, ...withStream, ...withPersonal] as const
const ofEnrolment = ['too-many-factors', 'too-many-changes', ...ofAccount] as const
const anId = '3f1c9f0e-6a55-5b1e-9d6a-0c7b6a3f2e11'

const listFactors = defineRoute({
  operationId: 'listFactors',
  method: 'GET',
  path,
  summary: 'The second factors of the account',
  tag,
  permission: 'own',
  rateLimit: 'queries',
  response: { status: 200, schema: FactorsResponse },
  problems: [...withStream, ...withPersonal],
  async handle({ principal }, { factors }) {
    return { body: { items: await factors.list(principal) } }
  },
})

const beginTotp = defineRoute({
  operationId: 'beginTotp',
  method: 'POST',
  path: `${path}/totp`,
  summary: 'A secret for an authenticator app, shown once; it counts when a code of it is confirmed',
  tag,
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'commands',
  response: { status: 201, schema: TotpResponse },
  problems: ofEnrolment,
  async handle(request, { factors }) {
    return { body: await factors.beginTotp(requestOf(request), request.principal) }
  },
})

const confirmTotp = defineRoute({
  operationId: 'confirmTotp',
  method: 'POST',
  path: `${path}/totp/confirm`,
  summary: 'Add the authenticator app, by a code that it shows',
  tag,
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'secrets',
  body: ConfirmTotpRequest,
  response: { status: 201, schema: FactorView },
  problems: ['challenge-failed', ...ofEnrolment],
  examples: { code: { request: { factorId: anId, code: '123456', label: 'Phone' } } },
  async handle(request, { factors }) {
    const added = await factors.confirmTotp(requestOf(request), request.principal, request.body)
    return { body: { ...added, codesLeft: null } }
  },
})

const messageRoute = (kind: 'sms' | 'email', operationId: string, whereTo: string) =>
  defineRoute({
    operationId,
    method: 'POST',
    path: `${path}/${kind}`,
    summary: `Add codes to ${whereTo} of the account as a second factor`,
    tag,
    permission: 'own',
    freshAuthentication: true,
    rateLimit: 'commands',
    body: AddFactorRequest,
    response: { status: 201, schema: FactorView },
    problems: ['address-not-proved', ...ofEnrolment],
    examples: { plain: { request: { label: null } } },
    async handle(request, { factors }) {
      const added = await factors.addMessages(requestOf(request), request.principal, kind, request.body.label)
      return { body: { ...added, codesLeft: null } }
    },
  })

const newRecoveryCodes = defineRoute({
  operationId: 'newRecoveryCodes',
  method: 'POST',
  path: `${path}/recovery-codes`,
  summary: 'Ten codes for when no other factor is at hand, shown once; the former ones are void',
  tag,
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'commands',
  response: { status: 201, schema: RecoveryCodesResponse },
  problems: ['factor-missing', ...ofEnrolment],
  async handle(request, { factors }) {
    return { body: await factors.newRecoveryCodes(requestOf(request), request.principal) }
  },
})

const beginPasskey = defineRoute({
  operationId: 'beginPasskey',
  method: 'POST',
  path: `${path}/passkeys/options`,
  summary: 'What an authenticator is asked when it makes a passkey (navigator.credentials.create)',
  tag,
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'commands',
  response: { status: 200, schema: PasskeyOptionsResponse },
  problems: ofEnrolment,
  async handle(request, { passkeys }) {
    return { body: await passkeys.begin(requestOf(request), request.principal) }
  },
})

const addPasskey = defineRoute({
  operationId: 'addPasskey',
  method: 'POST',
  path: `${path}/passkeys`,
  summary: 'Add a passkey, by what the authenticator has answered',
  tag,
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'commands',
  body: AddPasskeyRequest,
  response: { status: 201, schema: FactorView },
  problems: ['challenge-failed', 'passkey-taken', ...ofEnrolment],
  async handle(request, { passkeys }) {
    const added = await passkeys.add(requestOf(request), request.principal, request.body)
    return { body: { ...added, codesLeft: null } }
  },
})

const removeFactor = defineRoute({
  operationId: 'removeFactor',
  method: 'DELETE',
  path: `${path}/:factorId`,
  summary: 'Remove a second factor; without the last one the password is enough again',
  tag,
  permission: 'own',
  freshAuthentication: true,
  rateLimit: 'commands',
  params: FactorParams,
  response: { status: 204 },
  problems: ['factor-not-found', 'too-many-changes', ...ofAccount],
  async handle(request, { factors }) {
    await factors.remove(requestOf(request), request.principal, request.params.factorId)
    return {}
  },
})

export const factorRoutes = [
  listFactors,
  beginTotp,
  confirmTotp,
  messageRoute('sms', 'addSmsFactor', 'the phone'),
  messageRoute('email', 'addEmailFactor', 'the address'),
  newRecoveryCodes,
  beginPasskey,
  addPasskey,
  removeFactor,
]
