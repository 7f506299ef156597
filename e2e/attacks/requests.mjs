/** Requests that are right by the documents of the APIs: what attacks start from. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../dev/profile.mjs'

export const documents = ['command', 'query', 'notifier']
export const readDocument = (name) =>
  JSON.parse(readFileSync(join(root, 'docs/api', `${name}-api.openapi.json`), 'utf8'))

/** A value that is right, by the name of the field. A field that is required and not among them fails the run: it is new, and must be met too. */
export const right = {
  except: () => 'current',
  email: () => `h.${randomUUID()}@example.org`,
  password: () => 'a sensible passphrase',
  name: () => 'Hostile',
  locale: () => 'en',
  amount: () => '1.00',
  currency: () => 'EUR',
  type: () => 'card',
  token: () => 'tok_visa',
  description: () => 'tea',
  label: () => 'Phone',
  'marketing-email': () => true,
  refreshToken: () => 'none',
  challengeToken: () => 'none',
  ceremonyToken: () => 'none',
  factorId: () => randomUUID(),
  registrationId: () => randomUUID(),
  challengeId: () => randomUUID(),
  newPassword: () => 'another sensible passphrase',
  phone: () => '+34600123456',
  code: () => '123456',
  id: () => 'AAAA',
  rawId: () => 'AAAA',
  clientDataJSON: () => 'AAAA',
  attestationObject: () => 'AAAA',
  authenticatorData: () => 'AAAA',
  signature: () => 'AAAA',
  'idempotency-key': () => randomUUID(),
}

export function rightBody(schema, name) {
  if ('const' in schema) return schema.const
  // A body that is one of several: the first.
  if (name === undefined && schema.anyOf) return rightBody(schema.anyOf[0])
  if (schema.type !== 'object') {
    if (!right[name]) throw new Error(`e2e/attacks/requests.mjs has no right value for the field "${name}"`)
    return right[name]()
  }
  const { properties = {}, required = [] } = schema
  // Where no field is required, one is: a change of nothing is refused.
  const fields = required.length > 0 ? required : Object.keys(properties).slice(0, 1)
  return Object.fromEntries(fields.map((field) => [field, rightBody(properties[field], field)]))
}
